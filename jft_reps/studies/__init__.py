"""Plans of runs, fits and reports."""
