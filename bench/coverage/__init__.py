"""How often redshifts lie inside the intervals of p(z), by population."""
