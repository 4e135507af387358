"""Whether what a run reads is there: asked before TensorFlow is loaded, which takes seconds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  import ml_collections


def check_records(config: ml_collections.ConfigDict) -> None:
  """Raises what reading would raise, if the records of a split or the hierarchy are missing.

  Raises:
    errors.DataError: no manifest of a split, or no hierarchy file.
  """
  from jft_reps.data.hierarchy import text
  from jft_reps.data.records import manifest

  for split in (config.task.get("train_split"), *config.task.get("eval_splits", ())):
    if split and not os.path.exists(manifest.path_of(config.task.records, split)):
      manifest.read(config.task.records, split)
  hierarchy = config.task.get("hierarchy")
  if hierarchy and not os.path.exists(hierarchy):
    text.read_text(hierarchy)
