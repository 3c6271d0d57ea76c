"""Runs that never were, of any size, for the tests of the page."""
