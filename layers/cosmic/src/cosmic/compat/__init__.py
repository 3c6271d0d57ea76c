"""Forms of other programs, read and written."""
