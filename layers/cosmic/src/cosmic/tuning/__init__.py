"""What a run would take: a model of it from a few measurements. Formulas: docs/tuning.md."""
