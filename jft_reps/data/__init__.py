"""Pictures and labels: sources, records, hierarchies, and the batches that networks read."""
