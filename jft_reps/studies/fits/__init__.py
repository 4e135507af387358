"""Curves through (pictures, seed, value), paired differences, and what may be said of them."""
