"""What TensorFlow reads from the environment while it is imported."""

import os


def set_defaults() -> None:
  """Sets what the user has not set; called by every program before TensorFlow is imported."""
  # All that matters comes as an exception; the rest is pages about hardware and servers.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  # We use tf_keras. Without this TensorFlow imports Keras 3 as well, which supports no parameter
  # servers and is a quarter of the time that the import takes.
  os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
