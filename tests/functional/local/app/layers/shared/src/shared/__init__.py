"""Shared by the functions."""

GREETER = "a layer"
