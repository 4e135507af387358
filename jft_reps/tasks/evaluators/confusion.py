"""Which classes a classifier takes for which, and the pictures it is most wrongly sure of."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence

import numpy as np

from jft_reps.errors import printable

DOMINANT = 0.8  # share of the predictions from which one class is said to take nearly all


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

  @property
  def matrix(self) -> np.ndarray:
    """int64 `[classes, classes]`: pictures by true (row) and predicted class (column)."""
    n = len(self.labels)
    return np.bincount(self.truth * n + self.predicted, minlength=n * n).reshape(n, n)

  def chance(self) -> dict[str, float]:
    """What guessing gives: the commonest classes for every picture, whatever it shows.

    For the mean over classes, a guess by any rule that does not look is right in one class of all.
    """
    counts = np.sort(np.bincount(self.truth))[::-1]
    shares = counts / max(counts.sum(), 1)
    return {"top1": float(shares[:1].sum()), "top5": float(shares[:5].sum()),
            "class_mean_top1": 1.0 / max(int(np.count_nonzero(counts)), 1)}

  def dominant(self) -> str:
    """A warning if one class takes nearly all predictions and is not nearly all of the truth."""
    if not len(self.truth):
      return ""
    counts = np.bincount(self.predicted, minlength=len(self.labels))
    c = int(counts.argmax())
    share, true = counts[c] / counts.sum(), float(np.mean(self.truth == c))
    if share < DOMINANT or true > DOMINANT / 2:
      return ""
    return (f"class {printable(self.labels[c], 60)} takes {share:.0%} of the predictions "
            f"({true:.0%} of the truth): nothing else is learnt yet, or no more")

  def wrong(self, most: int) -> np.ndarray:
    """Indices of the wrong pictures, the surest first: where the label may be what is wrong."""
    wrong = np.flatnonzero(self.truth != self.predicted)
    order = sorted(wrong.tolist(), key=lambda i: (-self.confidence[i], self.ids[i]))
    return np.array(order[:most], np.int64)

  def classes_csv(self) -> str:
    """`class,pictures,recall,precision,predicted,taken_for`; empty where undefined.

    `taken_for` names the classes that its pictures are most often taken for, up to three.
    """
    matrix, rows = self.matrix, []
    for c, label in enumerate(self.labels):
      pictures, predicted = int(matrix[c].sum()), int(matrix[:, c].sum())
      others = [o for o in np.argsort(-matrix[c], kind="stable") if o != c and matrix[c, o]][:3]
      rows.append((label, pictures, _share(matrix[c, c], pictures),
                   _share(matrix[c, c], predicted), predicted,
                   "; ".join(f"{self.labels[o]} {matrix[c, o]}" for o in others)))
    return table(("class", "pictures", "recall", "precision", "predicted", "taken_for"), rows)

  def matrix_csv(self) -> str:
    """The matrix, true classes down and predicted ones across."""
    return table(("true \\ predicted", *self.labels),
                 [(label, *row) for label, row in zip(self.labels, self.matrix.tolist())])

  def wrong_csv(self, most: int) -> str:
    """`id,truth,predicted,confidence` of the wrong pictures, the surest first."""
    return table(("id", "truth", "predicted", "confidence"), [
        (self.ids[i], self.labels[self.truth[i]], self.labels[self.predicted[i]],
         f"{self.confidence[i]:.4f}") for i in self.wrong(most)])

  def most_confused(self, most: int) -> np.ndarray:
    """Indices of the classes with the most wrong pictures to or from them, in class order."""
    matrix = self.matrix
    errors = matrix.sum(0) + matrix.sum(1) - 2 * matrix.diagonal()
    return np.sort(np.argsort(-errors, kind="stable")[:most])


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
  """CSV in which a stranger's text is one cell, and no formula to a spreadsheet."""
  out = io.StringIO()
  writer = csv.writer(out, lineterminator="\n")
  for row in (header, *rows):
    writer.writerow([_cell(value) for value in row])
  return out.getvalue()


def _cell(value: object) -> str:
  text = printable(value, 4096)
  return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@") else text


def _share(part: int, whole: int) -> str:
  return f"{part / whole:.4f}" if whole else ""
