"""Programs that print one JSON line with a ratio against a baseline of the same run."""
