"""The end of a run: its shards merged, counted, billed and published."""
