"""Linear classifiers on features, solved instead of trained, and calibration of their scores."""
