"""fmilib across simulated networks."""
