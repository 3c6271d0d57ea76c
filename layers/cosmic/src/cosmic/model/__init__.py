"""Model, checkpoint and engine: the only package that runs the model."""
