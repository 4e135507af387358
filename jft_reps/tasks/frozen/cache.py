"""Features of pictures on disk: computed once, then read as a memory map."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jft_reps import errors, whole_files

Batch = tuple[list[str], np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Features:
  """One set of pictures as a network sees them.

  Attributes:
    ids: of the pictures.
    values: float32 `[pictures, d]`, on disk.
    targets: `[pictures]` class indices or `[pictures, classes]` multi-hot, on disk.
  """

  ids: list[str]
  values: np.ndarray
  targets: np.ndarray


def cached(folder: str | os.PathLike[str], name: str, key: Mapping[str, Any],
           batches: Callable[[], Iterable[Batch]],
           progress: Callable[[int], None] = lambda done: None) -> Features:
  """What is stored under this key; computed and stored first where it is not.

  Args:
    folder: of the cache.
    name: of the set, a file name.
    key: JSON values on which the features depend: weights, pixels, records.
    batches: gives (ids, features `[n, d]`, targets `[n, …]`) in order; one batch is held at a time.
    progress: called with the number of pictures done.

  Raises:
    errors.StorageError: the folder cannot be written.
    errors.NumericError: a feature is not finite; nothing is stored.
    errors.DataError: there are no pictures.
  """
  folder = pathlib.Path(folder)
  key = json.loads(json.dumps(key))
  try:
    found = _read(folder, name, key)
    if found is None:
      folder.mkdir(parents=True, exist_ok=True)
      _write(folder, name, key, batches(), progress)
      found = _read(folder, name, key)
  except OSError as e:
    raise errors.StorageError("feature-cache", e.filename or folder, e.strerror or str(e),
                              "a folder to write to") from e
  if found is None:
    raise errors.StorageError("feature-cache", folder / name, "other features than were written",
                              "a folder of one process at a time")
  return found


def _read(folder: pathlib.Path, name: str, key: Mapping[str, Any]) -> Features | None:
  try:
    about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    if about["key"] != key:
      return None
    ids = [json.loads(line) for line in (folder / f"{name}.ids").read_text().splitlines()]
    arrays = [np.memmap(folder / f"{name}.{part}", about[part]["dtype"], "r",
                        shape=tuple(about[part]["shape"])) for part in ("values", "targets")]
  except (FileNotFoundError, ValueError, KeyError, TypeError):
    return None
  return Features(ids, *arrays) if len(ids) == len(arrays[0]) else None


def _write(folder: pathlib.Path, name: str, key: Mapping[str, Any], batches: Iterable[Batch],
           progress: Callable[[int], None]) -> None:
  """New files that take the place of older ones, so that older memory maps stay whole.

  The description goes first and comes last: without it there is no cache.
  """
  count, shapes, description = 0, {}, folder / f"{name}.json"
  with (whole_files.replacing(folder / f"{name}.values", binary=True) as values,
        whole_files.replacing(folder / f"{name}.targets", binary=True) as targets,
        whole_files.replacing(folder / f"{name}.ids") as names):
    for ids, features, wanted in batches:
      if not np.isfinite(features).all():
        raise errors.NumericError("features-not-finite", name, f"features of {ids[0]} or of the "
                                  f"{len(ids) - 1} after it", "numbers", "Look at the weights.")
      features, wanted = np.ascontiguousarray(features, np.float32), np.ascontiguousarray(wanted)
      values.write(features.tobytes())
      targets.write(wanted.tobytes())
      names.writelines(json.dumps(i) + "\n" for i in ids)
      count += len(ids)
      shapes = {"values": features, "targets": wanted}
      progress(count)
    if not count:
      raise errors.DataError("no-pictures", name, "no usable picture", "at least one")
    description.unlink(missing_ok=True)
  about = {part: {"dtype": array.dtype.str, "shape": [count, *array.shape[1:]]}
           for part, array in shapes.items()}
  whole_files.write(description, json.dumps({"key": key, **about}))
