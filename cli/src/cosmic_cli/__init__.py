"""The `cosmic` command and the local stack; never deployed."""
