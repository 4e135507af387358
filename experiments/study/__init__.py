"""What the studies of `paper.py` share: runs, records, names, checks and pages."""
