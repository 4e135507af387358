"""How common each class is: the weights of FastEval's mean, read from a file or measured."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from jft_reps.errors import DataError, printable

_SUBSTITUTE = "the evaluation set's own prevalence (a substitute: no class-weight file given)"


@dataclasses.dataclass(frozen=True)
class ClassWeights:
  """One weight per class, and where it comes from.

  Attributes:
    values: float64 `[classes]`, not negative; nan for a class that has none.
    source: a few words, printed with every number these weights made.
  """

  values: np.ndarray
  source: str


def prevalence(positives: np.ndarray) -> ClassWeights:
  """Weights from the evaluation set itself: how many of its pictures carry each class `[classes]`.

  The paper weighted by how common a class is in pictures of social media, which is not public.
  """
  return ClassWeights(np.asarray(positives, np.float64), _SUBSTITUTE)


def checked(weights: ClassWeights | Sequence[float] | np.ndarray,
            evaluated: np.ndarray) -> ClassWeights:
  """Weights that every evaluated class has.

  Args:
    weights: as read from a file, or one number per class `[classes]`.
    evaluated: bool `[classes]`.

  Raises:
    DataError: a wrong length, a negative or infinite weight, an evaluated class without a weight,
      or nothing but zeros.
  """
  if not isinstance(weights, ClassWeights):
    weights = ClassWeights(np.asarray(weights, np.float64), "as given, one number per class")
  where = f"class weights, {weights.source}"
  values = weights.values
  if values.shape != evaluated.shape:
    raise DataError("class-weights-shape", where, f"shape {list(values.shape)}",
                    f"one weight for each of {len(evaluated)} classes")
  bad = np.flatnonzero((values < 0) | np.isinf(values))
  if bad.size:
    raise DataError("class-weight-value", where, f"{values[bad[0]]} for class {bad[0]}",
                    "finite numbers that are not negative")
  missing = np.flatnonzero(np.isnan(values) & evaluated)
  if missing.size:
    raise DataError("class-weight-missing", where,
                    f"no weight for {missing.size} evaluated classes, the first is {missing[0]}",
                    "a weight for every evaluated class", "Write 0 to leave a class out.")
  if not values[evaluated].any():
    raise DataError("class-weights-zero", where, "every evaluated class weighs 0",
                    "at least one weight above 0")
  return weights


def read_class_weights(path: str | os.PathLike, num_classes: int,
                       ids: Sequence[str] | None = None) -> ClassWeights:
  """Reads a CSV file of `id,weight` lines (`index,weight` where no ids are given).

  Blank lines, lines that start with `#` and a first line naming the columns are passed over.

  Args:
    path: UTF-8 text.
    num_classes: how many classes the model has.
    ids: id of each class in index order `[classes]`; the file then speaks of these.

  Returns:
    Weights `[num_classes]`, nan for classes the file does not name.

  Raises:
    DataError: with file and line, for a missing file, a line that is not two fields, an unknown or
      repeated class, a weight that is negative or not a finite number.
  """
  if ids is not None and len(ids) != num_classes:
    raise DataError("class-ids", path, f"{len(ids)} ids for {num_classes} classes", "one id each")
  index = {str(name): i for i, name in enumerate(range(num_classes) if ids is None else ids)}
  values = np.full(num_classes, np.nan)
  first_line: dict[int, int] = {}
  for line, fields in _rows(path):
    where = f"{printable(os.fspath(path))}:{line}"
    if len(fields) != 2:
      raise DataError("class-weight-line", where, f"{len(fields)} fields", "class,weight")
    name, text = (field.strip() for field in fields)
    if name not in index:
      known = "a class id" if ids is not None else f"an index from 0 to {num_classes - 1}"
      raise DataError("class-weight-unknown", where, f"unknown class {printable(name)!r}", known,
                      "Remove the line, or use the label list this file was made for.")
    if index[name] in first_line:
      raise DataError("class-weight-twice", where, f"class {printable(name)!r} again, first on "
                      f"line {first_line[index[name]]}", "each class once")
    first_line[index[name]] = line
    values[index[name]] = _weight(text, where)
  return ClassWeights(values, f"from {printable(os.path.basename(os.fspath(path)))}")


def _rows(path: str | os.PathLike) -> list[tuple[int, list[str]]]:
  rows = []
  try:
    with open(path, encoding="utf-8-sig", newline="") as file:
      reader = csv.reader(file, strict=True, skipinitialspace=True)
      for fields in reader:
        blank = not any(field.strip() for field in fields)
        if not blank and not fields[0].lstrip().startswith("#"):
          rows.append((reader.line_num, fields))
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise DataError("class-weight-file", printable(os.fspath(path)), printable(error),
                    "a UTF-8 text file of class,weight lines") from error
  if rows and [f.strip().lower() for f in rows[0][1]] in (
      ["id", "weight"], ["index", "weight"], ["class", "weight"]):
    rows = rows[1:]
  return rows


def _weight(text: str, where: str) -> float:
  try:
    weight = float(text)
  except ValueError:
    weight = np.nan
  if not (np.isfinite(weight) and weight >= 0):
    raise DataError("class-weight-value", where, f"weight {printable(text)!r}",
                    "a finite number that is not negative")
  return weight
