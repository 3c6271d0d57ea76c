"""Runs on this machine alone: files in, catalogue out, and nothing of AWS between them."""
