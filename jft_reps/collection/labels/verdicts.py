"""What is known to be true of a sample of pictures: from a CSV of verdicts, or from records."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from jft_reps import errors
from jft_reps.collection.labels import lists
from jft_reps.data.records import manifest


@dataclasses.dataclass(frozen=True)
class Verdicts:
  """Of each picture of the sample, the classes that are true and false of it.

  Attributes:
    present: sorted class indices by picture id; every picture of the sample has an entry.
    absent: likewise.
    open: likewise, classes of a dense sample that nobody could tell.
    dense: whether all classes were looked for: what is neither present nor open is absent.
  """

  present: dict[str, np.ndarray]
  absent: dict[str, np.ndarray]
  open: dict[str, np.ndarray]
  dense: bool

  @property
  def text(self) -> str:
    """How much of it there is."""
    said = sum(map(len, self.present.values())), sum(map(len, self.absent.values()))
    kind = "densely labelled" if self.dense else "with verdicts on some labels"
    return (f"{len(self.present):,} pictures {kind}: {said[0]:,} labels true"
            + ("" if self.dense else f", {said[1]:,} false"))


_NOTHING = np.zeros(0, np.int64)


def from_records(record_set: manifest.RecordSet, num_classes: int, dense: bool) -> Verdicts:
  """The labels of a record set as truth; its verified absences are false, its unknowns open.

  Memory depends on the size of the sample.

  Args:
    record_set: a checked set.
    num_classes: of the vocabulary.
    dense: whether every class was looked for in its pictures.

  Raises:
    errors.DataError: as `lists.batches`.
  """
  present: dict[str, np.ndarray] = {}
  absent: dict[str, np.ndarray] = {}
  unclear: dict[str, np.ndarray] = {}
  for batch in lists.batches(record_set, num_classes):
    for table, pairs in ((present, batch.labels), (absent, batch.absent),
                         (unclear, batch.unknown)):
      splits = np.searchsorted(pairs.rows, np.arange(1, len(batch.ids)))
      table.update(zip(batch.ids, np.split(pairs.classes, splits)))
  return Verdicts(present, absent, unclear, dense)


def from_csv(path: str | os.PathLike, labels: Sequence[str], dense: bool) -> Verdicts:
  """Reads lines of picture id, label and 1 (true) or 0 (false).

  Columns are found by a first line that names them `id` (or `ImageID`), `label` (or `LabelName`)
  and `verdict` (or `Confidence`), as in Open Images' human-verified labels; without one they are
  the first three.

  Args:
    path: UTF-8 text, comma-separated.
    labels: class ids in class order; lines of other labels are passed over.
    dense: whether every class was looked for in every picture that the file names.

  Raises:
    errors.DataError: names the line that is none, or that contradicts an earlier one.
  """
  index = {label: i for i, label in enumerate(labels)}
  said: dict[str, dict[int, bool]] = {}
  columns: tuple[int, ...] = (0, 1, 2)
  try:
    with open(path, encoding="utf-8-sig", newline="") as file:
      reader = csv.reader(file, strict=True, skipinitialspace=True)
      for number, fields in enumerate(reader):
        where = f"{os.fspath(path)}:{reader.line_num}"
        if number == 0 and (named := _columns(fields)) is not None:
          columns = named
        elif fields:
          _add(said, fields, columns, index, where)
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise errors.DataError("verdict-file", os.fspath(path), errors.printable(error),
                           "a UTF-8 file of id,label,0 or 1") from None
  if not said:
    raise errors.DataError("verdict-file", os.fspath(path), "no verdict on a class of the records",
                           "lines of id,label,0 or 1", "Are these the labels of labels.txt?")
  of = lambda truth: {name: np.array(sorted(c for c, t in one.items() if t is truth), np.int64)
                      for name, one in said.items()}
  return Verdicts(of(True), of(False), dict.fromkeys(said, _NOTHING), dense)


_NAMES = (("id", "imageid"), ("label", "labelname"), ("verdict", "confidence"))


def _columns(fields: Sequence[str]) -> tuple[int, ...] | None:
  """Which columns hold id, label and verdict, if `fields` names them."""
  named = [field.strip().lower() for field in fields]
  found = tuple(next((i for i, name in enumerate(named) if name in names), -1)
                for names in _NAMES)
  return found if min(found) >= 0 else None


def _add(said: dict[str, dict[int, bool]], fields: Sequence[str], columns: Sequence[int],
         index: dict[str, int], where: str) -> None:
  if len(fields) <= max(columns):
    raise errors.DataError("verdict-line", where, f"{len(fields)} fields", "id, label, 0 or 1")
  name, label, verdict = (fields[c] for c in columns)
  try:
    truth = {0.0: False, 1.0: True}[float(verdict)]
  except (ValueError, KeyError):
    raise errors.DataError("verdict-line", where, f"verdict {errors.printable(verdict)!r}",
                           "1 for true or 0 for false") from None
  of_picture = said.setdefault(name, {})
  if label.strip() in index and of_picture.setdefault(index[label.strip()], truth) != truth:
    raise errors.DataError(
        "verdict-twice", where, f"{errors.printable(label)} of {errors.printable(name)} is both "
        "true and false", "one verdict per picture and label")
