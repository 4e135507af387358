"""Checkpoints of this library: names are ours already, and notes tell the network."""

from __future__ import annotations

import json

from jft_reps.errors import StorageError
from jft_reps.models.pretrained.containers import Tensors
from jft_reps.models.pretrained.source import Origin, WeightSource
from jft_reps.models.variables import BACKBONE
from jft_reps.ops import preprocessing

FORMAT = "jft_reps"


def understand(tensors: Tensors) -> WeightSource | None:
  """The backbone of a checkpoint of ours, or None if this is none."""
  if not is_own(tensors):
    return None
  origins = {name.removeprefix(BACKBONE): Origin(name) for name in tensors.shapes
             if name.startswith(BACKBONE)}
  network = _note(tensors, "network")
  pixels = _note(tensors, "preprocessing")
  crop = pixels.get("crop")  # height and width for poses, None for whole pictures
  return WeightSource(FORMAT, tensors, origins, network, preprocessing.from_json(pixels),
                crop=crop if isinstance(crop, int) else None, ignored=(rf"^(?!{BACKBONE})",))


def is_own(tensors: Tensors) -> bool:
  """Whether it is a checkpoint that this library wrote."""
  return tensors.kind == "checkpoint" and f"{BACKBONE}conv1/conv/kernel" in tensors.shapes


def _note(tensors: Tensors, name: str) -> dict:
  """A JSON note of a checkpoint."""
  if name not in tensors.shapes:
    raise StorageError("checkpoint-notes", tensors.path, f"no {name} in it",
                       "a checkpoint written by train")
  try:
    note = json.loads(bytes(tensors.read(name).item()))
  except (ValueError, TypeError) as e:
    raise StorageError("checkpoint-notes", f"{tensors.path}: {name}", str(e)[:200], "JSON") from e
  if not isinstance(note, dict):
    raise StorageError("checkpoint-notes", f"{tensors.path}: {name}", str(note)[:100], "an object")
  return note
