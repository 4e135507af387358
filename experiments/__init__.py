"""Configurations per table and figure of the paper, the quickstart and benchmarks."""
