"""Weights, ours or others': find the file, understand it. `training.initialise` applies them.

docs/architecture.md, "The way of a weight", goes along it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from jft_reps.models.pretrained.source import WeightSource


def open_source(path: str | os.PathLike[str]) -> WeightSource:
  """Understands a run directory, a checkpoint or a weight file of any known format.

  Raises:
    errors.StorageError: it cannot be read or recognised.
  """
  from jft_reps.models.pretrained import recognise
  from jft_reps.training.run_directory import finding

  return recognise.open_source(finding.find(path))
