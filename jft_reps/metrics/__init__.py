"""Evaluation metrics on NumPy arrays."""
