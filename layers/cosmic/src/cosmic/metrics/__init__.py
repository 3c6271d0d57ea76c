"""Metrics of photometric redshifts, and the sums that they are made of."""
