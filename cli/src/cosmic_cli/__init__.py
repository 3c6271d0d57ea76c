"""The `cosmic` command; never deployed."""

__version__ = "0.1.0"
