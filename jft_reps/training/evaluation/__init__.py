"""Checkpoints judged: each as it comes, or one when asked."""
