"""What a classifier gets wrong: which classes it takes for which, and in which pictures."""
