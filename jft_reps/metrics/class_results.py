"""What FastEval found: one number with its definition, and one row per class."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
from collections.abc import Mapping, Sequence

import numpy as np

from jft_reps import whole_files
from jft_reps.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class FastEvalResult:
  """One evaluation.

  Attributes:
    value: the weighted mean; nan where nothing is defined.
    macro: unweighted mean of `per_class` over the defined classes.
    per_class: float64 `[classes]`; nan where undefined or not evaluated. In the picture-wise
      reading: the mean precision at the class's place in the pictures labelled with it.
    counts: int64 `[classes]`, pictures labelled with each class.
    evaluated: bool `[classes]`.
    undefined: evaluated classes without a positive.
    groups: unweighted means of head, middle and tail and of the named groups.
    pictures: pictures counted, labelled or not.
    excluded: pictures left out by id.
    k: the k of mAP@k.
    definition: one line that says what `value` is.
  """

  value: float
  macro: float
  per_class: np.ndarray
  counts: np.ndarray
  evaluated: np.ndarray
  undefined: int
  groups: Mapping[str, float]
  pictures: int
  excluded: int
  k: int
  definition: str

  def scalars(self, prefix: str = "") -> dict[str, float]:
    """What to plot, by name, with `prefix="fasteval/"` for TensorBoard.

    Numbers that are undefined are absent: nothing is ever plotted as NaN, 0 or -1 instead.
    """
    name = f"mAP@{self.k}"
    named = {name: self.value, f"macro {name}": self.macro, **self.groups,
             "classes": float(self.evaluated.sum() - self.undefined),
             "undefined": float(self.undefined)}
    return {prefix + key: float(v) for key, v in named.items() if not math.isnan(v)}


def write_csv(result: FastEvalResult, path: str | os.PathLike, ids: Sequence[str] | None = None,
              names: Sequence[str] | None = None) -> None:
  """Writes the file of `csv_text`, replaced as a whole.

  Raises:
    ConfigError: ids or names of another length.
    StorageError: the file cannot be written.
  """
  text = csv_text(result, ids, names)
  whole_files.write(path, text.encode("utf-8", "surrogateescape"))


def csv_text(result: FastEvalResult, ids: Sequence[str] | None = None,
             names: Sequence[str] | None = None) -> str:
  """`index,id,name,positives,ap` of the evaluated classes; an undefined AP stays empty.

  Args:
    result: of an evaluation.
    ids: `[classes]`, empty column if None.
    names: `[classes]`, empty column if None.

  Raises:
    ConfigError: ids or names of another length.
  """
  for key, column in (("ids", ids), ("names", names)):
    if column is not None and len(column) != len(result.per_class):
      raise ConfigError("csv-columns", key, f"{len(column)} entries", f"{len(result.per_class)}")
  out = io.StringIO()
  writer = csv.writer(out)
  writer.writerow(["index", "id", "name", "positives", "ap"])
  for c in map(int, np.flatnonzero(result.evaluated)):
    ap = float(result.per_class[c])
    writer.writerow([c, "" if ids is None else ids[c], "" if names is None else names[c],
                     int(result.counts[c]), "" if math.isnan(ap) else repr(ap)])
  return out.getvalue()
