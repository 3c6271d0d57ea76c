"""`cosmic tune`: measure here, predict Lambda."""
