"""How the functions do when a run grows."""
