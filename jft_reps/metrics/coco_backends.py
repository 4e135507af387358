"""COCO's matching and accumulation for one class at a time: pycocotools, or a faster copy of it.

COCO's evaluation of a class does not depend on the others, but pycocotools holds a dict for each
box and several arrays for each picture, class and range of areas: gigabytes for a few thousand
pictures. One class at a time, with only the pictures that class is in, the numbers are the same
and only the largest class has to fit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from pycocotools import cocoeval

from jft_reps.errors import ConfigError

THRESHOLDS, RECALLS, AREAS, LIMITS = 10, 101, 4, 3


@dataclasses.dataclass(frozen=True, eq=False)
class ClassBoxes:
  """All boxes of one class. Pictures are numbered; boxes are `[x, y, width, height]`.

  Attributes:
    true_pictures: int `[n]`, rising.
    true_boxes: `[n, 4]`.
    crowd: bool `[n]`.
    area: `[n]`.
    pictures: int `[m]`, rising.
    boxes: `[m, 4]`, by falling score in each picture.
    scores: `[m]`.
  """

  true_pictures: np.ndarray
  true_boxes: np.ndarray
  crowd: np.ndarray
  area: np.ndarray
  pictures: np.ndarray
  boxes: np.ndarray
  scores: np.ndarray

  def annotations(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """True and found boxes in COCO's words, each numbered from 1: an id 0 reads as unmatched."""
    true = [{"id": i, "image_id": picture, "category_id": 1, "bbox": box, "area": area,
             "iscrowd": crowd, "ignore": crowd}
            for i, (picture, box, area, crowd) in enumerate(zip(
                self.true_pictures.tolist(), self.true_boxes.tolist(), self.area.tolist(),
                self.crowd.astype(int).tolist()), 1)]
    found = [{"id": i, "image_id": picture, "category_id": 1, "bbox": box, "score": score,
              "area": box[2] * box[3], "iscrowd": 0}
             for i, (picture, box, score) in enumerate(zip(
                 self.pictures.tolist(), self.boxes.tolist(), self.scores.tolist()), 1)]
    return true, found

  def picture_numbers(self) -> list[int]:
    """The pictures with a box of this class."""
    return np.union1d(self.true_pictures, self.pictures).tolist()


# Precision [thresholds, recalls, areas, limits] and recall [thresholds, areas, limits], -1 where
# undefined.
Backend = Callable[[ClassBoxes], tuple[np.ndarray, np.ndarray]]


def load(name: str) -> tuple[Backend, str]:
  """An evaluation by name, and the package and version that it comes from.

  Raises:
    ConfigError: neither "pycocotools" nor "faster", or the package of the latter is missing.
  """
  if name == "pycocotools":
    return _pycocotools, f"pycocotools {metadata.version('pycocotools')}"
  if name != "faster":
    raise ConfigError("coco-backend", "backend", repr(name), "pycocotools or faster")
  try:
    package = importlib.import_module("faster_coco_eval")
  except ImportError as error:
    raise ConfigError("coco-backend", "backend", "faster, without the package faster-coco-eval",
                      "pycocotools, or that package",
                      "Run: pip install 'jft_reps[fast-coco]'") from error
  version = metadata.version("faster-coco-eval")
  return lambda boxes: _faster(package, boxes), f"faster-coco-eval {version}"


class _Arrays(cocoeval.COCOeval):
  """COCO's evaluation, given its boxes instead of looking them up by category and picture."""

  def __init__(self, boxes: ClassBoxes):
    super().__init__(iouType="bbox")
    self.params.imgIds, self.params.catIds = boxes.picture_numbers(), [1]
    for target, records in zip((self._gts, self._dts), boxes.annotations()):
      for annotation in records:
        target[annotation["image_id"], 1].append(annotation)

  def _prepare(self) -> None:
    """Nothing is left to do."""


def _pycocotools(boxes: ClassBoxes) -> tuple[np.ndarray, np.ndarray]:
  with contextlib.redirect_stdout(io.StringIO()):
    evaluation = _Arrays(boxes)
    evaluation.evaluate()
    evaluation.accumulate()
  return evaluation.eval["precision"][:, :, 0], evaluation.eval["recall"][:, 0]


def _faster(package: Any, boxes: ClassBoxes) -> tuple[np.ndarray, np.ndarray]:
  head = {"images": [{"id": i} for i in boxes.picture_numbers()],
          "categories": [{"id": 1, "name": "class"}]}
  true, found = (package.COCO({**head, "annotations": records})
                 for records in boxes.annotations())
  evaluation = package.COCOeval_faster(true, found, iouType="bbox")
  evaluation.evaluate()
  evaluation.accumulate()
  shape = (THRESHOLDS, RECALLS, 1, AREAS, LIMITS)
  precision = np.asarray(evaluation.eval["precision"]).reshape(shape)
  recall = np.asarray(evaluation.eval["recall"]).reshape(shape[:1] + shape[2:])
  return precision[:, :, 0], recall[:, 0]
