"""Where a cold start's time goes: `python -m bench.start`."""
