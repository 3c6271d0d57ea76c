"""Checkpoints of other programs, made into ours without running any of their code."""
