"""Rows of the CSV files of Open Images (Krasin et al. 2017; Kuznetsova et al. 2020), V1 to V7.

Image-level labels: `ImageID,Source,LabelName,Confidence`. Boxes have `XMin,XMax,YMin,YMax` beside
that, and since V3 `IsGroupOf` and other attributes. Columns are found by the names in the first
line, so others may stand between them.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from typing import NamedTuple

from jft_reps import errors

_BOX = ("ymin", "xmin", "ymax", "xmax")
_FORM = "ImageID,Source,LabelName,Confidence, with XMin,XMax,YMin,YMax for boxes"
_LONGEST_LINE = 1 << 16


class Row(NamedTuple):
  """One statement on one picture.

  Attributes:
    image_id: of the picture.
    label: id of the class, such as `/m/01g317`.
    human: a person said so; machines say `machine` as Source.
    confidence: in [0, 1]; of a human 0 says that the class was looked for and is absent.
    box: normalised ymin, xmin, ymax, xmax; None of an image-level label.
    crowd: the box holds a group of the class (IsGroupOf).
  """

  image_id: str
  label: str
  human: bool
  confidence: float
  box: tuple[float, float, float, float] | None
  crowd: bool


def has_boxes(path: str | os.PathLike) -> bool:
  """Whether the rows of a file are boxes, by its first line.

  Raises:
    errors.DataError: no such file, or the columns are others.
  """
  with _opened(path) as file:
    return "xmin" in _columns(_cells(file, os.fspath(path)), path)


def rows(path: str | os.PathLike) -> Iterator[Row]:
  """Every row of a file, in its order.

  A file without `Source` is of humans, one of boxes without `Confidence` states them.

  Raises:
    errors.DataError: names file and line.
  """
  path = os.fspath(path)
  with _opened(path) as file:
    lines = _cells(file, path)
    columns = _columns(lines, path)
    for number, cells in lines:
      if len(cells) != columns["count"]:
        raise errors.DataError(
            "wrong-columns", f"{path}:{number}", f"{len(cells)} columns",
            f"{columns['count']}, as in the first line", "If the file was cut off, fetch it again.")
      yield _row(cells, columns, f"{path}:{number}")


def _opened(path: str | os.PathLike):
  try:
    return open(path, encoding="utf-8-sig", newline="")
  except OSError as error:
    raise errors.DataError("missing-file", path, errors.printable(error.strerror),
                           "a CSV file of Open Images") from None


def _cells(file, path: str) -> Iterator[tuple[int, list[str]]]:
  """Line number and cells of every line with text."""
  reader = csv.reader(iter(lambda: file.readline(_LONGEST_LINE), ""), strict=True,
                      skipinitialspace=True)
  try:
    for cells in reader:
      if cells:
        yield reader.line_num, cells
  except csv.Error as error:
    raise errors.DataError(
        "bad-csv", f"{path}:{reader.line_num}", errors.printable(error), "a CSV line") from None
  except UnicodeDecodeError as error:
    raise errors.DataError(
        "bad-encoding", f"{path}:{reader.line_num + 1}", errors.printable(error.reason),
        "UTF-8 text") from None
  except OSError as error:
    raise errors.DataError(
        "unreadable-file", path, errors.printable(error.strerror), "a CSV file") from None


def _columns(lines: Iterator[tuple[int, list[str]]], path: str | os.PathLike) -> dict[str, int]:
  """Position of every column by its name in lower case, and their `count`."""
  _, cells = next(lines, (1, []))
  found = {name.strip().lower(): i for i, name in enumerate(cells)}
  needed = {"imageid", "labelname"}
  needed |= {*_BOX} if found.keys() & {*_BOX} else {"confidence"}
  if not needed <= found.keys():
    raise errors.DataError(
        "open-images-columns", f"{path}:1", f"columns {errors.printable(','.join(cells), 80)}",
        _FORM, "Masks, relationships and lists of pictures are no labels.")
  return {**found, "count": len(cells)}


def _row(cells: list[str], columns: dict[str, int], where: str) -> Row:
  image_id, label = cells[columns["imageid"]].strip(), cells[columns["labelname"]].strip()
  for name, text in (("ImageID", image_id), ("LabelName", label)):
    if not text or not text.isprintable():
      raise errors.DataError(
          "open-images-row", where, f"{name} {errors.printable(text)!r}", "an id")
  box, crowd = None, False
  stated = cells[columns["confidence"]] if "confidence" in columns else "1"
  confidence = _number(stated, where)
  if not 0.0 <= confidence <= 1.0:
    raise errors.DataError(
        "bad-confidence", where, f"confidence {errors.printable(stated)!r}", "within 0 and 1")
  if "xmin" in columns:
    ymin, xmin, ymax, xmax = (_number(cells[columns[side]], where) for side in _BOX)
    box = ymin, xmin, ymax, xmax
    crowd = "isgroupof" in columns and cells[columns["isgroupof"]].strip() == "1"  # -1: unknown
  at = columns.get("source")
  human = at is None or cells[at].strip() != "machine"
  return Row(image_id, label, human, confidence, box, crowd)


def _number(text: str, where: str) -> float:
  try:
    number = float(text)
  except ValueError:
    number = math.nan
  if not math.isfinite(number):
    raise errors.DataError(
        "open-images-row", where, f"{errors.printable(text, 40)!r}", "a number")
  return number
