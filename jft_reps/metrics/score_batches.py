"""One batch of scores and labels: checked, and labels brought to one sorted list of integers.

A label is kept as its key, `row * classes + class`, so that a picture costs eight bytes per label
however many classes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jft_reps.errors import DataError, printable


def text(picture_id: Any) -> str:
  """An id as `str`: TensorFlow gives bytes, lists of pictures to leave out are read as text."""
  if isinstance(picture_id, bytes):
    return picture_id.decode("utf-8", "surrogateescape")
  return str(picture_id)


def as_scores(scores: Any) -> np.ndarray:
  """Scores as float32 or float64, whichever holds them exactly.

  Raises:
    DataError: not numbers.
  """
  scores = np.asarray(scores)
  if scores.dtype in (np.float32, np.float64):
    return scores
  if scores.dtype.kind in "biu":
    return scores.astype(np.float64)
  if scores.dtype == np.float16 or scores.dtype.name == "bfloat16":
    return scores.astype(np.float32)
  raise DataError("score-type", "scores", f"dtype {scores.dtype}", "floats of at most 64 bits")


def require_finite(scores: np.ndarray, chunks: Sequence[slice], ids: Sequence[str]) -> None:
  """Refuses NaN and infinity in `[n, classes]`, naming how many and the first picture.

  Raises:
    DataError: as said.
  """
  bad = np.zeros(len(ids), np.int64)
  for chunk in chunks:
    finite = np.isfinite(scores[chunk])
    if not finite.all():
      bad[chunk] = np.count_nonzero(~finite, axis=1)
  if bad.any():
    raise DataError(
        "score-not-finite", f"picture {printable(ids[int(np.argmax(bad > 0))])!r}",
        f"{bad.sum()} scores in {np.count_nonzero(bad)} pictures of this batch are NaN or "
        "infinite, this is the first", "finite scores",
        "The model diverged or a prediction file is damaged.")


def dense_keys(labels: Any, chunks: Sequence[slice], ids: Sequence[str],
               classes: int) -> np.ndarray:
  """Keys of the ones in `[n, classes]`, sorted, int64.

  Raises:
    DataError: another shape, or a value that is neither 0 nor 1.
  """
  labels = np.asarray(labels)
  if labels.shape != (len(ids), classes):
    raise DataError("label-shape", "labels", f"shape {list(labels.shape)}",
                    f"[{len(ids)}, {classes}]")
  keys = [np.zeros(0, np.int64)]
  for chunk in chunks:
    values = labels[chunk].ravel()
    found = np.flatnonzero(values != 0)
    other = found[values[found] != 1]
    if other.size:
      row = chunk.start + other[0] // classes
      raise DataError("label-value", f"picture {printable(ids[row])!r}",
                      f"label {values[other[0]]} of class {other[0] % classes}", "0 or 1")
    keys.append(found + chunk.start * classes)
  return np.concatenate(keys)


def padded_keys(label_ids: Any, ids: Sequence[str], classes: int) -> np.ndarray:
  """Keys of label indices padded with -1, `[n, m]` or n lists; sorted, each once, int64.

  Raises:
    DataError: another number of rows, not integers, an index out of range.
  """
  if len(label_ids) != len(ids):
    raise DataError("label-shape", "label_ids", f"{len(label_ids)} rows", f"{len(ids)} rows")
  lists = [np.asarray(row).ravel() for row in label_ids]
  rows = np.repeat(np.arange(len(lists)), [len(row) for row in lists])
  found = np.concatenate([row for row in lists if len(row)] or [np.zeros(0, np.int64)])
  if found.dtype.kind not in "iu":
    raise DataError("label-type", "label_ids", f"dtype {found.dtype}", "integers")
  found = found.astype(np.int64)
  wrong = np.flatnonzero((found < -1) | (found >= classes))
  if wrong.size:
    raise DataError("label-range", f"picture {printable(ids[rows[wrong[0]]])!r}",
                    f"label {found[wrong[0]]}", f"0 to {classes - 1}, or -1 for padding")
  return np.unique((rows * classes + found)[found >= 0])


def is_in(keys: np.ndarray, sorted_keys: np.ndarray) -> np.ndarray:
  """Which of `keys` are among `sorted_keys`; bool, shaped like `keys`."""
  if not sorted_keys.size:
    return np.zeros(keys.shape, bool)
  place = np.minimum(np.searchsorted(sorted_keys, keys), sorted_keys.size - 1)
  return sorted_keys[place] == keys
