"""Which classes a classifier takes for which."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from jft_reps.errors import printable
from jft_reps.metrics.mistakes import surest, tables
from jft_reps.metrics.mistakes.surest import Mistake

DOMINANT = 0.8  # share of the predictions from which one class is said to take nearly all
_MATRIX = 1000  # classes up to which a table of all by all is written
_TAKEN_FOR = 3


@dataclasses.dataclass(frozen=True)
class Confusion:
  """Single-label predictions of a set, one per picture.

  Attributes:
    labels: class names, in class order.
    ids: of the pictures.
    truth: int64 `[pictures]`.
    predicted: int64 `[pictures]`, the class of the highest score.
    confidence: float64 `[pictures]`, probability of that class.
  """

  labels: tuple[str, ...]
  ids: tuple[str, ...]
  truth: np.ndarray
  predicted: np.ndarray
  confidence: np.ndarray

  def matrix(self, classes: np.ndarray | None = None) -> np.ndarray:
    """int64 `[n, n]`: pictures by true (row) and predicted class (column), of some classes."""
    classes = np.arange(len(self.labels)) if classes is None else classes
    place = np.full(len(self.labels), -1)
    place[classes] = np.arange(len(classes))
    rows, columns, n = place[self.truth], place[self.predicted], len(classes)
    both = (rows >= 0) & (columns >= 0)
    return np.bincount(rows[both] * n + columns[both], minlength=n * n).reshape(n, n)

  def guessing(self, exclude_ids: Iterable[str] | None = None) -> dict[str, float]:
    """What naming the commonest classes of every picture gives, whatever it shows.

    The mean over classes is the same for every guess: right in one class, wrong in the others.
    """
    excluded = set(exclude_ids or ())
    kept = np.array([i not in excluded for i in self.ids], bool)
    counts = np.sort(np.bincount(self.truth[kept]))[::-1]
    if not kept.any():
      return {}
    return {"top1": float(counts[:1].sum() / kept.sum()),
            "top5": float(counts[:5].sum() / kept.sum()),
            "class_mean_top1": 1.0 / np.count_nonzero(counts)}

  def dominant(self) -> str:
    """A warning if one class takes nearly all predictions, and most pictures of other classes."""
    if not self.ids:
      return ""
    counts = np.bincount(self.predicted)
    c = int(counts.argmax())
    others = self.predicted[self.truth != c]
    if counts[c] < DOMINANT * len(self.ids) or 2 * np.count_nonzero(others == c) <= len(others):
      return ""
    return (f"class {printable(self.labels[c], 60)} takes {counts[c] / len(self.ids):.0%} of the "
            f"predictions and is {1 - len(others) / len(self.ids):.0%} of the truth: nothing else "
            "is learned yet, or no more")

  def mistakes(self, most: int) -> list[Mistake]:
    """The wrong pictures, the surest first."""
    wrong = np.flatnonzero(self.truth != self.predicted).tolist()
    return surest.surest((Mistake(
        self.ids[i], self.labels[self.truth[i]], self.labels[self.predicted[i]],
        float(self.confidence[i])) for i in wrong), most)

  def classes_csv(self) -> str:
    """`index,class,pictures,recall,precision,predicted,taken_for`; empty where undefined.

    `taken_for` names the classes that its pictures are most often taken for, up to three.
    """
    n, taken = len(self.labels), self._taken_for()
    pictures, predicted = (np.bincount(c, minlength=n) for c in (self.truth, self.predicted))
    right = np.bincount(self.truth[self.truth == self.predicted], minlength=n)
    return tables.csv_text(
        ("index", "class", "pictures", "recall", "precision", "predicted", "taken_for"),
        [(c, label, pictures[c], tables.share(right[c], pictures[c]),
          tables.share(right[c], predicted[c]), predicted[c],
          "; ".join(f"{self.labels[o]} {count}" for o, count in taken.get(c, ())[:_TAKEN_FOR]))
         for c, label in enumerate(self.labels)])

  def csv_text(self) -> str:
    """True classes down, predicted ones across; of very many classes `truth,predicted,pictures`."""
    if len(self.labels) > _MATRIX:
      return tables.csv_text(("truth", "predicted", "pictures"), [
          (self.labels[t], self.labels[p], count) for t, p, count in self._pairs()])
    return tables.csv_text(("true \\ predicted", *self.labels), [
        (label, *row) for label, row in zip(self.labels, self.matrix().tolist())])

  def most_confused(self, most: int) -> np.ndarray:
    """Indices of the classes with the most wrong pictures of theirs or as theirs, ascending."""
    wrong, n = self.truth != self.predicted, len(self.labels)
    errors = np.bincount(self.truth[wrong], minlength=n)
    errors += np.bincount(self.predicted[wrong], minlength=n)
    return np.sort(np.argsort(-errors, kind="stable")[:most])

  def _pairs(self) -> list[tuple[int, int, int]]:
    """(true class, predicted class, pictures) of those that occur, in class order."""
    keys, counts = np.unique(self.truth * len(self.labels) + self.predicted, return_counts=True)
    return [(*divmod(key, len(self.labels)), count)
            for key, count in zip(keys.tolist(), counts.tolist())]

  def _taken_for(self) -> dict[int, list[tuple[int, int]]]:
    """By true class: the other classes predicted for it with how often, falling."""
    found: dict[int, list[tuple[int, int]]] = {}
    for t, p, count in self._pairs():
      if t != p:
        found.setdefault(t, []).append((p, count))
    return {t: sorted(others, key=lambda other: -other[1]) for t, others in found.items()}
