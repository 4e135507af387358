"""Clusters, the trainer, optimizers, checkpoints and the monitor."""
