"""Whose weights a file holds."""

from __future__ import annotations

import pathlib

from jft_reps.errors import StorageError, printable
from jft_reps.models.pretrained import (
  containers,
  keras_applications,
  model_garden,
  own,
  slim,
  tencent,
  torch_resnet,
)
from jft_reps.models.pretrained.source import WeightSource

CONVENTIONS = (own, slim, tencent, model_garden, keras_applications, torch_resnet)


def open_source(path: pathlib.Path | str) -> WeightSource:
  """Understands a weight file.

  Args:
    path: a file, or a TensorFlow checkpoint's path without ending.

  Raises:
    StorageError: it cannot be read, or its names follow no known convention; names some.
  """
  if pathlib.Path(path).is_dir():
    raise StorageError("weights-folder", printable(path), "a folder", "a weight file",
                       "jft_reps.workflows.open_source takes run directories too.")
  tensors = containers.open_file(path)
  for convention in CONVENTIONS:
    source = convention.understand(tensors)
    if source is not None:
      return source
  names = [n for n in tensors.shapes if n != "_CHECKPOINTABLE_OBJECT_GRAPH"]
  found = (f"{len(names)} tensors of no known naming: "
           f"{', '.join(printable(n) for n in names[:5])}" if names else
           "no variables (saved before the model was built?)")
  raise StorageError("unknown-weights", tensors.path, found,
                     "the names of " + ", ".join(c.FORMAT for c in CONVENTIONS),
                     "A renamed root, e.g. my_net/ for resnet_v1_50/, has to be renamed back.")
