"""Which file of weights a path means: itself, or the newest checkpoint of a run directory."""

from __future__ import annotations

import os
import pathlib
import re

from jft_reps.errors import StorageError
from jft_reps.models.pretrained import containers, missing, own
from jft_reps.training.run_directory import checkpoints

_CHECKPOINT = re.compile(r"(ckpt-(\d+))(\.index|\.data-.*)?")


def find(path: str | os.PathLike[str]) -> pathlib.Path:
  """What a path means: itself, or the newest committed checkpoint of a run directory.

  Raises:
    StorageError: there is none, it is damaged, or it is a checkpoint of ours without its marker.
  """
  source = pathlib.Path(path)
  _check_committed(source)
  steps = checkpoints.committed(source)
  if steps:
    checkpoints.verify(source, steps[-1])
    return checkpoints.prefix(source, steps[-1])
  if source.is_dir():
    raise missing.no_checkpoint(source)
  return source


def _check_committed(path: pathlib.Path) -> None:
  """A checkpoint of ours exists by its marker; `ckpt-N` is a name that others use too."""
  match = _CHECKPOINT.fullmatch(path.name)
  if match is None or not path.with_name(f"{match[1]}.index").is_file():
    return
  step, prefix = int(match[2]), path.with_name(match[1])
  if prefix == checkpoints.prefix(path.parent, step) and step in checkpoints.committed(path.parent):
    checkpoints.verify(path.parent, step)
  elif (checkpoints.committed(path.parent) or (path.parent / "run_card.md").is_file()
        or own.is_own(containers.open_file(prefix))):
    raise StorageError(
        "checkpoint-not-committed", prefix, "a checkpoint of ours without its marker",
        f"{prefix.name}.ok beside it",
        "Its writing was not finished, or the marker was not copied with it. A run directory "
        "stands for its newest committed checkpoint.")
