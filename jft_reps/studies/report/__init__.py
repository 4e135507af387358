"""From results of runs to tables, plots and pages."""
