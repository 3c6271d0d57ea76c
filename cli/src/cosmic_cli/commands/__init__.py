"""The commands, one concern a module: they read options, call one function, show what it gave."""
