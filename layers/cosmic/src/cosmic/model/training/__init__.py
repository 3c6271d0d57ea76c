"""Training, calibration and the model card."""
