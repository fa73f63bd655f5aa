"""Recommendation models: fit, measure against baselines, let through a gate, predict. NumPy and SciPy only."""
