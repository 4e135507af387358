"""Sets that TensorFlow Datasets has prepared."""
