"""The libraries that can run the model, one a module."""
