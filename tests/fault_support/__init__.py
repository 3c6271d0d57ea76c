"""Faults that several kinds of tests cause on purpose."""
