"""A cluster's processes: start, addresses, placement, liveness, failures."""
