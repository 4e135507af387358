"""Weights of others under our names: containers, naming conventions, and what they imply."""
