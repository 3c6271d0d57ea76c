"""What streaming gains and what it holds: `python -m bench.stream`."""
