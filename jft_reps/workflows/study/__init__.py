"""The runs of a study: what each kind of run does."""
