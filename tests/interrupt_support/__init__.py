"""A command that gets a signal at a chosen moment."""
