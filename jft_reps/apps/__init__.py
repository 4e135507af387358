"""The programs: flags, usage and exit codes; what they do is in `jft_reps.workflows`."""
