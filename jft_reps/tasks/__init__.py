"""One file per task: data, model, loss and evaluators."""
