"""What moving rows from a late rank to idle ones gains: `python -m bench.balance`."""
