"""Model, checkpoint and engine: the only package that imports torch."""
