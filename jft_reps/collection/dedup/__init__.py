"""Near-duplicates between and within sets of pictures."""
