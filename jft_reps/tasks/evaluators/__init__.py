"""What judges a task's answers on an evaluation split."""
