"""Hash-nested subsets by size, and subsets by class."""
