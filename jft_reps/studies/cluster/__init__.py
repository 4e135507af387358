"""Runs of a study as jobs of a cluster, and the machine-hours they take."""
