"""Collective operations over a channel, right for any number of ranks."""
