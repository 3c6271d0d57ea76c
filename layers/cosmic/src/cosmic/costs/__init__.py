"""What a run takes and costs: the bill, and a prediction. Formulas: docs/tuning.md."""
