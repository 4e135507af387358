"""Runs as processes: keeper, ledger, stored plan, results, archive."""
