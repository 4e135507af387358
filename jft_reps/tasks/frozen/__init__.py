"""Features of a frozen backbone, and their cache."""
