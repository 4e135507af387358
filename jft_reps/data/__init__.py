"""Hierarchies, records, sources and the generated picture world."""
