"""How many noisy labels are true, and how much of the truth they say, from a sample of pictures.

Sun et al. 2017 state about 80 % precision and unknown recall for JFT (section 3).

Labels of one picture are not independent: one wrong page gives all of its wrong labels at once,
and ancestors are right or wrong together with what implies them. So pictures are the units.
The share is a ratio of sums over pictures, its variance that of a ratio estimator over clusters
(Cochran 1977, Sampling Techniques, 11.6; with replacement), and the interval is Wilson's at the
effective number of labels, share · (1 − share) / variance (Kish's design effect, as Korn and
Graubard 1998 have it for other intervals). Unlike a bootstrap's it does not collapse where all
labels of a small sample are true, and it stays within 0 and 1. Of a single class a picture has
one label at most, so there it is Wilson's plain interval.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Any

import numpy as np

from jft_reps import errors
from jft_reps.collection.labels import lists as label_lists
from jft_reps.collection.labels.verdicts import Verdicts
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.records import manifest

_Z = 1.959963984540054  # 95 %


@dataclasses.dataclass(frozen=True)
class Share:
  """A share of labels with its 95 % interval.

  Attributes:
    value: true labels over all; NaN where there are none.
    low, high: the interval.
    true, labels: numbers of labels.
    pictures: with at least one of them.
    effective: independent labels that would tell as much.
  """

  value: float
  low: float
  high: float
  true: int
  labels: int
  pictures: int
  effective: float

  def __str__(self) -> str:
    if not self.labels:
      return "n/a (no labels)"
    return (f"{self.value:.1%} (95 % interval {self.low:.1%} to {self.high:.1%}; {self.true:,} of "
            f"{self.labels:,} labels of {self.pictures:,} pictures)")


def share(true: np.ndarray, labels: np.ndarray) -> Share:
  """The share of labels that are true, pictures being the units.

  Args:
    true: `[pictures]`, true labels of each.
    labels: `[pictures]`, labels of each.
  """
  true, labels = (np.asarray(a, np.float64)[np.asarray(labels) > 0] for a in (true, labels))
  pictures, total = len(labels), labels.sum()
  if not pictures:
    return Share(np.nan, 0.0, 1.0, 0, 0, 0, 0.0)
  value = true.sum() / total
  spread = ((true - value * labels) ** 2).sum()
  # Where nothing varies each picture counts once: its labels may well be one event.
  effective = min(value * (1 - value) * total**2 / spread, total) if spread > 1e-12 else pictures
  low, high = wilson(value, effective)
  return Share(float(value), low, high, int(true.sum()), int(total), pictures, float(effective))


def wilson(value: float, number: float) -> tuple[float, float]:
  """95 % interval of a share of `number` independent draws (Wilson 1927)."""
  scale = 1 + _Z**2 / number
  centre = (value + _Z**2 / (2 * number)) / scale
  half = _Z / scale * np.sqrt(value * (1 - value) / number + _Z**2 / (4 * number**2))
  return float(max(0.0, centre - half)), float(min(1.0, centre + half))


@dataclasses.dataclass(frozen=True)
class Precision:
  """What a sample says of noisy labels.

  Attributes:
    title: which labels.
    precision: share of the labels with a verdict that are true.
    recall: share of the true labels of a dense sample, ancestors included, that are among the
      noisy ones, else None.
    unjudged: labels of sample pictures without a verdict.
    true, labels: int64 `[classes]`, labels with a verdict per class.
  """

  title: str
  precision: Share
  recall: Share | None
  unjudged: int
  true: np.ndarray
  labels: np.ndarray

  def of_class(self, index: int) -> Share:
    """Precision of one class."""
    counts = np.zeros(self.labels[index], np.int64)
    counts[:self.true[index]] = 1
    return share(counts, np.ones_like(counts))

  def to_json(self) -> dict[str, Any]:
    """All but the classes."""
    recall = None if self.recall is None else _json(self.recall)
    return {"title": self.title, "precision": _json(self.precision), "recall": recall,
            "unjudged": self.unjudged}

  def text(self) -> str:
    lines = [f"{self.title}: precision {self.precision}"]
    lines[0] += f"; {self.unjudged:,} labels without a verdict" if self.unjudged else ""
    if self.recall is not None:
      lines.append(f"{self.title}: recall {self.recall}")
    return "\n".join(lines)


def _json(found: Share) -> dict[str, Any]:
  return {**dataclasses.asdict(found), "value": found.value if found.labels else None}


def measure(
    record_set: manifest.RecordSet, num_classes: int, verdicts: Verdicts,
    hierarchy: Hierarchy | None = None,
) -> list[Precision]:
  """Compares the labels of a set with verdicts on some of its pictures.

  With a hierarchy a true label makes its ancestors true and a false one its descendants false;
  what is true by one verdict and false by another counts as true. Both the labels as listed and
  those with their ancestors are judged then.

  Args:
    record_set: the noisy set, which is read once.
    num_classes: of the vocabulary.
    verdicts: of pictures that are in it, by the same ids.
    hierarchy: of the vocabulary.

  Raises:
    errors.DataError: no picture of the sample is in the set.
  """
  closure = None if hierarchy is None else hierarchy.closure()
  below = None if closure is None else label_lists.implied_absences(closure)
  listed = _Judge("labels as listed", num_classes, verdicts.dense)
  expanded = _Judge("with their ancestors", num_classes, verdicts.dense)
  for batch in label_lists.batches(record_set, num_classes):
    known = [i for i, name in enumerate(batch.ids) if name in verdicts.present]
    if not known:
      continue
    ids = [batch.ids[i] for i in known]
    noisy = _rows_of(batch.labels, known, num_classes)
    present, absent, undecided = (
        label_lists.expand(_table(table, ids, num_classes), way)
        for table, way in ((verdicts.present, closure), (verdicts.absent, below),
                           (verdicts.open, below)))
    for judge, pairs in ((listed, noisy), (expanded, label_lists.expand(noisy, closure))):
      judge.add(len(ids), pairs, present, absent, undecided)
  if not listed.pictures:
    raise errors.DataError(
        "no-sample", f"{record_set.directory}, split {record_set.split}",
        f"none of the {len(verdicts.present):,} pictures with verdicts is in it",
        "pictures with the same ids")
  return [judge.result() for judge in (listed, expanded)[:1 if closure is None else 2]]


def _rows_of(pairs: label_lists.Pairs, rows: list[int], num_classes: int) -> label_lists.Pairs:
  """The pairs of some rows, which are numbered anew."""
  place = np.searchsorted(rows, pairs.rows)
  kept = np.asarray(rows)[np.minimum(place, len(rows) - 1)] == pairs.rows
  return label_lists.unique(place[kept], pairs.classes[kept], num_classes)


def _table(table: dict[str, np.ndarray], ids: list[str], num_classes: int) -> label_lists.Pairs:
  lists = [table[name] for name in ids]
  rows = np.repeat(np.arange(len(ids)), [len(one) for one in lists])
  return label_lists.unique(rows, np.concatenate(lists), num_classes)


class _Judge:
  """Counts true and false labels, picture by picture."""

  def __init__(self, title: str, num_classes: int, dense: bool):
    self._title, self._classes, self._dense = title, num_classes, dense
    self._counts: list[np.ndarray] = []
    self._true, self._labels = np.zeros((2, num_classes), np.int64)
    self._unjudged = 0

  @property
  def pictures(self) -> int:
    return sum(len(counts) for counts in self._counts)

  def add(self, pictures: int, noisy: label_lists.Pairs, present: label_lists.Pairs,
          absent: label_lists.Pairs, undecided: label_lists.Pairs) -> None:
    keys = [p.rows * self._classes + p.classes for p in (noisy, present, absent, undecided)]
    true = np.isin(keys[0], keys[1])
    judged = true | (~np.isin(keys[0], keys[3]) if self._dense else np.isin(keys[0], keys[2]))
    count = lambda rows: np.bincount(rows, minlength=pictures)
    self._counts.append(np.stack(
        [count(noisy.rows[true]), count(noisy.rows[judged]), count(present.rows)], 1))
    self._true += np.bincount(noisy.classes[true], minlength=self._classes)
    self._labels += np.bincount(noisy.classes[judged], minlength=self._classes)
    self._unjudged += int((~judged).sum())

  def result(self) -> Precision:
    true, judged, present = np.concatenate(self._counts).T
    return Precision(
        self._title, share(true, judged), share(true, present) if self._dense else None,
        self._unjudged, self._true, self._labels)


def class_table(found: Precision, ids: tuple[str, ...], least: int = 20) -> str:
  """CSV of the precision of every class with at least `least` labels that have a verdict."""
  out = io.StringIO()
  table = csv.writer(out, lineterminator="\n")
  table.writerow(("id", "precision", "low", "high", "true", "labels"))
  for i in np.flatnonzero(found.labels >= max(least, 1)).tolist():
    one = found.of_class(i)
    table.writerow((ids[i], f"{one.value:.4f}", f"{one.low:.4f}", f"{one.high:.4f}", one.true,
                    one.labels))
  return out.getvalue()
