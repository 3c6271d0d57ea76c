"""Simulated SDSS-like partitions: real photometry and redshifts, simulated pixels."""
