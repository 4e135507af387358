"""What the labels of a set are like: counts, precision, noise, and a FastEval set of them."""
