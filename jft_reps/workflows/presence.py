"""Whether what a run reads is there: asked before TensorFlow is loaded, which takes seconds."""

from __future__ import annotations

import os
import pathlib
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


def check_weights(path: str | os.PathLike) -> None:
  """Raises what opening would raise, if there is no file and no checkpoint, or none in a folder.

  Raises:
    errors.StorageError: there is none.
  """
  from jft_reps.models.pretrained import missing

  path = pathlib.Path(path)
  if not path.exists() and not pathlib.Path(f"{path}.index").exists():
    raise missing.error(path)
  if path.is_dir() and not _committed(path):
    raise missing.no_checkpoint(path)


def check_start(config: ml_collections.ConfigDict) -> None:
  """What a fresh run starts from: records, unless they are made here, hierarchy and weights."""
  if config.init.checkpoint and not _committed(pathlib.Path(config.workdir)):
    check_weights(config.init.checkpoint)  # else the run goes on from its own
  if not config.get("toy_world"):
    check_records(config)


def _committed(folder: pathlib.Path) -> bool:
  """Whether a folder has a checkpoint of ours, by its marker; `checkpoints` needs TensorFlow."""
  return any(folder.glob("ckpt-*.ok"))
