"""The programs: parse flags, compose the rooms below, nothing else."""
