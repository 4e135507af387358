"""What one does to a collection: check it, look at its labels, cut it, find its copies."""
