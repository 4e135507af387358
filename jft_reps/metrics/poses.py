"""The people of one picture, true and found, as metrics of keypoints take them.

Points are (y, x) in pixels of the stored picture, pixel centres at +0.5; boxes are
`[ymin, xmin, ymax, xmax]`. pycocotools calls a pose of NaN perfect, and reads beyond a list that is
too short or leaves the rest of one that is too long. So they are checked here.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from jft_reps.errors import DataError, NumericError, printable
from jft_reps.metrics.detections import Truth, areas


class CheckedPeople(NamedTuple):
  """Who is in a picture, checked: as `People`, and nothing is None."""

  points: np.ndarray
  boxes: np.ndarray
  crowd: np.ndarray
  area: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class People:
  """Who is in a picture.

  Attributes:
    points: `[n, K, 3]` (y, x, visibility): 0 not labelled, 1 hidden, 2 visible; n may be 0.
    boxes: `[n, 4]`.
    crowd: bool `[n]`, boxes around a group (COCO's `iscrowd`); None: none.
    area: `[n]` square pixels, COCO's own (of the segmentation); None: that of the boxes.
  """

  points: np.ndarray
  boxes: np.ndarray
  crowd: np.ndarray | None = None
  area: np.ndarray | None = None

  def checked(self, picture_id: str, count: int) -> CheckedPeople:
    """The same as float64 and bool, in the same order.

    An area may be anything: what is 0 or not finite is the metric's to ignore.

    Raises:
      NumericError: a coordinate is NaN or infinite.
      DataError: lengths that differ, not `count` points, a visibility that is not 0, 1 or 2, a
        box that ends before it begins.
    """
    where = f"truth of picture {printable(picture_id)!r}"
    boxes = np.atleast_1d(np.asarray(self.boxes, np.float64))
    boxes = boxes if boxes.size else boxes.reshape(0, 4)
    n = len(boxes)
    crowd = np.zeros(n, bool) if self.crowd is None else np.asarray(self.crowd)
    Truth(boxes, np.zeros(n, np.int64), crowd).checked(picture_id, 1)  # it refuses what is no box
    points = _numbers(self.points, (n, count, 3), "points", where)
    wrong = np.setdiff1d(points[..., 2], [0, 1, 2])
    if wrong.size:
      raise DataError("keypoint-visibility", where, f"visibility {wrong[0]:g}", "0, 1 or 2",
                      "Are the points (y, x, visibility)?")
    area = areas(boxes) if self.area is None else np.asarray(self.area, np.float64)
    if area.shape != (n,):
      raise DataError("keypoint-shape", where, f"area of shape {list(area.shape)}", f"[{n}]")
    return CheckedPeople(points, boxes, crowd.astype(bool), area)


@dataclasses.dataclass(frozen=True, eq=False)
class Poses:
  """Who was found in a picture.

  Attributes:
    points: `[m, K, 2]`; m may be 0.
    scores: `[m]`, higher is better.
    boxes: `[m, 4]`, where they were looked for; COCO's numbers do not depend on it.
  """

  points: np.ndarray
  scores: np.ndarray
  boxes: np.ndarray | None = None

  def checked(self, picture_id: str, count: int) -> Poses:
    """The same as float64, ordered by falling score, then by points.

    Raises:
      NumericError: a coordinate or a score is NaN or infinite.
      DataError: lengths that differ, or not `count` points.
    """
    where = f"poses in picture {printable(picture_id)!r}"
    scores = np.asarray(self.scores)
    scores = _numbers(scores, (scores.size,), "scores", where)
    points = _numbers(self.points, (len(scores), count, 2), "points", where)
    boxes = self.boxes
    if boxes is not None:
      boxes = _numbers(boxes, (len(scores), 4), "boxes", where)
    columns = points.reshape(len(scores), 2 * count).T
    return Poses(points, scores, boxes)[np.lexsort((*columns[::-1], -scores))]

  def __getitem__(self, which: np.ndarray | slice) -> Poses:
    """Some of them: a slice, a mask or indices."""
    return Poses(self.points[which], self.scores[which],
                 None if self.boxes is None else self.boxes[which])


def none(count: int) -> Poses:
  """No poses of `count` points."""
  return Poses(np.zeros((0, count, 2)), np.zeros(0), np.zeros((0, 4)))


def _numbers(values: Any, shape: tuple[int, ...], name: str, where: str) -> np.ndarray:
  array = np.asarray(values)
  if array.shape != shape and array.size + np.prod(shape):
    points = array.ndim == 3 and len(shape) == 3 and array.shape[1] != shape[1]
    found = f"{array.shape[1]} keypoints" if points else f"{name} of shape {list(array.shape)}"
    raise DataError("keypoint-shape", where, found,
                    f"{shape[1]}, one for each sigma" if points else str(list(shape)),
                    "Does the keypoint schema belong to this data set?" if points else "")
  if array.size and array.dtype.kind not in "biuf":
    raise DataError("keypoint-type", where, f"{name} of dtype {array.dtype}", "numbers")
  wrong = int(np.count_nonzero(~np.isfinite(array.astype(np.float64))))
  if wrong:
    raise NumericError("keypoint-not-finite", where, f"{wrong} of {array.size} numbers in {name} "
                       "are NaN or infinite", "finite numbers",
                       "The model diverged, or a file is damaged.")
  return array.astype(np.float64).reshape(shape)
