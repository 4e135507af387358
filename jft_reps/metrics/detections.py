"""The boxes of one picture, true and found, as every detection metric takes them.

Boxes are `[ymin, xmin, ymax, xmax]` in pixels of the stored picture, continuous and from 0: a box
that covers exactly the first pixel is [0, 0, 1, 1]. Classes are indices into the labels.

pycocotools counts a NaN box as found, and ranks equal scores in the order they come: 0.5 or 0.083
for the same boxes. So boxes are checked here, and put in an order of their own.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from jft_reps.errors import DataError, NumericError, printable


class CheckedTruth(NamedTuple):
  """What is in a picture, checked and in order: as `Truth`, and nothing is None."""

  boxes: np.ndarray
  classes: np.ndarray
  crowd: np.ndarray
  difficult: np.ndarray
  area: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
  """What is in a picture.

  Attributes:
    boxes: `[n, 4]`; n may be 0.
    classes: int `[n]`.
    crowd: bool `[n]`, boxes around a group (COCO's `iscrowd`); None: none.
    difficult: bool `[n]` (VOC); None: none.
    area: `[n]` square pixels, COCO's own (of the segmentation); None: that of the boxes.
  """

  boxes: np.ndarray
  classes: np.ndarray
  crowd: np.ndarray | None = None
  difficult: np.ndarray | None = None
  area: np.ndarray | None = None

  def checked(self, picture_id: str, num_classes: int) -> CheckedTruth:
    """The same as float64, int64 and bool, ordered by class, then by box.

    Raises:
      NumericError: a coordinate or an area is NaN or infinite.
      DataError: lengths that differ, a class out of range, a box that ends before it begins.
    """
    where = f"truth of picture {printable(picture_id)!r}"
    boxes = _boxes(self.boxes, where)
    n = len(boxes)
    classes = _classes(self.classes, n, num_classes, where)
    crowd = _column(np.zeros(n, bool) if self.crowd is None else self.crowd, n, "crowd", where)
    difficult = _column(np.zeros(n, bool) if self.difficult is None else self.difficult, n,
                        "difficult", where)
    area = _column(areas(boxes) if self.area is None else self.area, n, "area", where)
    order = np.lexsort((area, difficult, crowd, *boxes.T[::-1], classes))
    return CheckedTruth(boxes[order], classes[order], crowd[order].astype(bool),
                   difficult[order].astype(bool), area[order].astype(np.float64))


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
  """What a detector finds in a picture.

  Attributes:
    boxes: `[m, 4]`; m may be 0.
    classes: int `[m]`.
    scores: `[m]`, higher is better.
  """

  boxes: np.ndarray
  classes: np.ndarray
  scores: np.ndarray

  def checked(self, picture_id: str, num_classes: int) -> Detections:
    """The same as float64 and int64, ordered by falling score, then by class, then by box.

    Raises:
      NumericError: a coordinate or a score is NaN or infinite.
      DataError: lengths that differ, a class out of range, a box that ends before it begins.
    """
    where = f"detections in picture {printable(picture_id)!r}"
    boxes = _boxes(self.boxes, where)
    classes = _classes(self.classes, len(boxes), num_classes, where)
    scores = _column(self.scores, len(boxes), "scores", where).astype(np.float64)
    return Detections(boxes, classes, scores)[np.lexsort((*boxes.T[::-1], classes, -scores))]

  def __getitem__(self, which: np.ndarray | slice) -> Detections:
    """Some of them: a slice, a mask or indices."""
    return Detections(self.boxes[which], self.classes[which], self.scores[which])


def none() -> Detections:
  """No detections."""
  return Detections(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))


def areas(boxes: np.ndarray) -> np.ndarray:
  """`[n]` square pixels of `[n, 4]`."""
  return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _boxes(values: Any, where: str) -> np.ndarray:
  boxes = np.asarray(values, np.float64)
  if boxes.size == 0:
    boxes = boxes.reshape(0, 4)
  if boxes.ndim != 2 or boxes.shape[1] != 4:
    raise DataError("box-shape", where, f"boxes of shape {list(boxes.shape)}", "[boxes, 4]")
  _require_finite(boxes, "boxes", where)
  swapped = np.flatnonzero((boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1]))
  if swapped.size:
    raise DataError("box-swapped", where, f"box {swapped[0]} is {boxes[swapped[0]].tolist()}",
                    "[ymin, xmin, ymax, xmax] with ymin <= ymax and xmin <= xmax",
                    "Are these [x, y, width, height], or is x before y?")
  return boxes


def _classes(values: Any, n: int, num_classes: int, where: str) -> np.ndarray:
  classes = _column(values, n, "classes", where)
  if n and classes.dtype.kind not in "iu":
    raise DataError("class-type", where, f"classes of dtype {classes.dtype}", "integers")
  classes = classes.astype(np.int64)
  wrong = classes[(classes < 0) | (classes >= num_classes)]
  if wrong.size:
    raise DataError("class-range", where, f"class {wrong[0]}", f"0 to {num_classes - 1}",
                    "There is no background class; does the label map belong to these boxes?")
  return classes


def _column(values: Any, n: int, name: str, where: str) -> np.ndarray:
  column = np.asarray(values)
  if column.shape != (n,):
    raise DataError("box-count", where, f"{name} of shape {list(column.shape)} for {n} boxes",
                    f"[{n}]")
  if column.dtype.kind not in "biuf":
    if n:
      raise DataError("box-type", where, f"{name} of dtype {column.dtype}", "numbers")
    column = column.astype(np.float64)
  _require_finite(column, name, where)
  return column


def _require_finite(values: np.ndarray, name: str, where: str) -> None:
  wrong = int(np.count_nonzero(~np.isfinite(values)))
  if wrong:
    raise NumericError("box-not-finite", where, f"{wrong} of {values.size} numbers in {name} are "
                       "NaN or infinite", "finite numbers",
                       "The model diverged, or a file is damaged.")
