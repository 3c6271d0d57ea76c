"""One rank of a run, from its task to its record."""
