"""Pictures for TensorBoard: the truth left, the prediction right."""
