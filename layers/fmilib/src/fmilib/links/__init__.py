"""Authenticated TCP links between two ranks, and the messages on them."""
