"""What a checkpoint says of its pictures, network and labels, held against a task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jft_reps.errors import StorageError, printable
from jft_reps.training.run_directory import checkpoints


def check(path, notes: Mapping[str, Any]) -> None:
  """Compares the notes stored in a checkpoint with a task's.

  Args:
    path: the checkpoint without ending; a note it does not have is not compared.
    notes: JSON values by name.

  Raises:
    StorageError: names both sides of the first value that differs.
  """
  stored = checkpoints.read(path, sorted(notes.keys() & checkpoints.shapes(path).keys()))
  for name, text in stored.items():
    found, wanted = _by_key(text), _by_key(json.dumps(notes[name]))
    different = [k for k in {**wanted, **found} if found.get(k) != wanted.get(k)]
    if different:
      first = different[0]
      raise StorageError(
          f"{name}-differ", path,
          f"{name} {first}: {printable(found.get(first, 'nothing'))}, of {len(found)}",
          f"{printable(wanted.get(first, 'nothing'))}, of {len(wanted)}",
          f"{len(different)} differ; take the configuration of the training.")


def _by_key(text: Any) -> dict:
  """A stored note, bytes or str, by key; a list by number."""
  note = json.loads(text)
  return dict(enumerate(note)) if isinstance(note, list) else note
