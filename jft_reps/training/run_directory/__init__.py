"""What a run leaves on disk: configuration, checkpoints, events, best."""
