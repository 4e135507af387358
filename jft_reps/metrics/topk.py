"""Top-k accuracy of single-label classification, picture by picture.

A picture whose label ties with other classes at the boundary counts by the chance that a random
order of the tied would put it among the first k: constant scores reach k / classes, not one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from jft_reps.errors import NumericError


def hits(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
  """For each picture, how much its label is among the k highest scores.

  Args:
    scores: float `[pictures, classes]`.
    labels: int `[pictures]`.
    k: at least 1.

  Returns:
    float64 `[pictures]` in [0, 1]; between the two only at ties.

  Raises:
    NumericError: a score is NaN.
  """
  scores = np.asarray(scores)
  if np.isnan(scores).any():
    raise NumericError("nan-score", "top-k accuracy", f"{int(np.isnan(scores).sum())} NaN scores",
                       "numbers", "Was the model restored?")
  own = np.take_along_axis(scores, np.asarray(labels, np.int64)[:, np.newaxis], 1)
  greater, equal = (scores > own).sum(1), (scores == own).sum(1)
  return np.clip((k - greater) / equal, 0.0, 1.0)


def definition(ks: Sequence[int]) -> str:
  """One line that says what the accuracies are."""
  named = " and ".join(f"top-{k}" for k in ks)
  return (f"{named}: fraction of the pictures whose class is among the k with the highest scores; "
          "one that ties at the boundary counts by the chance that a random order of the tied puts "
          "it among them")


class TopK:
  """Streams pictures and remembers a number for each, so that some can be left out later.

  Args:
    ks: the k of each accuracy.
  """

  def __init__(self, ks: Sequence[int] = (1, 5)):
    self.ks = tuple(ks)
    self._ids: list[str] = []
    self._hits: list[np.ndarray] = []
    self._labels: list[np.ndarray] = []

  def update(self, ids: Iterable[str], scores: np.ndarray, labels: np.ndarray) -> None:
    """Takes a batch: `scores` `[n, classes]`, `labels` `[n]`."""
    self._ids += list(ids)
    self._hits.append(np.stack([hits(scores, labels, k) for k in self.ks], 1))
    self._labels.append(np.asarray(labels, np.int64))

  def result(self, exclude_ids: Iterable[str] = ()) -> dict[str, float]:
    """`top1`, `top5` and `class_mean_top1` in [0, 1], and `pictures`."""
    if not self._ids:
      return {"pictures": 0.0}
    excluded = set(exclude_ids)
    kept = np.asarray([i not in excluded for i in self._ids])
    found, labels = np.concatenate(self._hits)[kept], np.concatenate(self._labels)[kept]
    values = {"pictures": float(kept.sum())}
    if not kept.any():
      return values
    values |= {f"top{k}": float(found[:, i].mean()) for i, k in enumerate(self.ks)}
    count = np.bincount(labels)
    right = np.bincount(labels, weights=found[:, 0])
    values[f"class_mean_top{self.ks[0]}"] = float((right[count > 0] / count[count > 0]).mean())
    return values
