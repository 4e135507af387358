"""COCO's ten numbers for keypoints (cocodataset.org, "Keypoint Evaluation").

As AP and AR of boxes (see `coco`), with OKS in place of IoU: means over the thresholds
.50, .55, ..., .95 and, for AP, 101 recalls. APM and APL, ARM and ARL count people of areas from 32²
to 96² and beyond, where area is COCO's own, of the segmentation. Crowds and people without labelled
points are neither positives nor held against what is found there. The 20 best poses of a picture
count.

pycocotools does the work, with our sigmas as its parameter. What it leaves open is settled here:

* A person whose area is 0 or not finite has no scale: one to ignore as if without points.
* Numbers without a person that counts are None, where it says -1.
* Nothing found at all is an AP of 0, where it fails.
* Equal scores are ranked by picture id and then by points, where it goes by the order they came in.
* A pose's own area, which decides whether one that matches nobody counts in APM or APL, is that of
  the box around its points, as for files of results without boxes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pycocotools import coco, cocoeval

from jft_reps.errors import ConfigError
from jft_reps.metrics import coco_backends
from jft_reps.metrics.detections import areas
from jft_reps.metrics.pictures import Pictures
from jft_reps.metrics.poses import CheckedPeople, People, Poses
from jft_reps.metrics.results import Result

MOST = 20
NUMBERS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


class CocoKeypoints:
  """Takes pictures one by one; keeps at most 20 poses of each.

  Args:
    sigmas: of each keypoint, its deviation relative to the root of a person's area.
    backend: "pycocotools", or "faster" with the extra `fast-coco`: the same numbers sooner.

  Raises:
    ConfigError: no sigmas, or some that are not positive; a backend that is not there.
  """

  def __init__(self, sigmas: Sequence[float], backend: str = "pycocotools"):
    self._sigmas = np.asarray(sigmas, np.float64)
    if self._sigmas.ndim != 1 or not self._sigmas.size or not (
        np.isfinite(self._sigmas) & (self._sigmas > 0)).all():
      raise ConfigError("keypoint-sigmas", "sigmas", str(self._sigmas.tolist()),
                        "a positive number for each keypoint")
    _, self._version = coco_backends.load(backend)
    self._backend = backend
    self._pictures = Pictures("CocoKeypoints")

  def update(self, picture_id: str, found: Poses, truth: People) -> None:
    """Takes a picture. One that is refused leaves nothing behind.

    Raises:
      DataError: a picture twice; not as many keypoints as sigmas; see `Poses.checked` and
        `People.checked`.
      NumericError: numbers that are not finite.
    """
    name = self._pictures.new(picture_id)
    found = found.checked(name, len(self._sigmas))
    people = truth.checked(name, len(self._sigmas))
    self._pictures.add(name, (found[:MOST], people, max(0, len(found.scores) - MOST)))

  def result(self, exclude_ids: Iterable[Any] | None = None) -> Result:
    """The numbers over all pictures so far; more may follow.

    Args:
      exclude_ids: pictures to leave out; the result equals that of a run without them.

    Raises:
      ConfigError: `exclude_ids` is a single string.
    """
    kept = self._pictures.without(exclude_ids)
    true = [person for i, (_, people, _) in enumerate(kept) for person in _people(i, people)]
    found = [pose for i, (poses, _, _) in enumerate(kept) for pose in _poses(i, poses)]
    numbers = {name: None if value < 0 else float(value)
               for name, value in zip(NUMBERS, self._stats(len(kept), true, found))}
    counted = sum(bool(person["num_keypoints"]) and not person["iscrowd"] for person in true)
    rows = {"person": {"AP": numbers["AP"], "AP50": numbers["AP50"], "positives": counted,
                       "detections": len(found)}}
    excluded = len(self._pictures) - len(kept)
    return Result(numbers, rows, int(not counted), len(kept), excluded,
                  self._definition(counted, kept, excluded))

  def _stats(self, pictures: int, true: list[dict], found: list[dict]) -> np.ndarray:
    head = {"images": [{"id": i} for i in range(pictures)],
            "categories": [{"id": 1, "name": "person"}]}
    sets = [{**head, "annotations": _numbered(records)} for records in (true, found)]
    with contextlib.redirect_stdout(io.StringIO()):
      if self._backend == "faster":
        package = importlib.import_module("faster_coco_eval")
        evaluation = package.COCOeval_faster(*map(package.COCO, sets), iouType="keypoints")
      else:
        evaluation = cocoeval.COCOeval(*map(_indexed, sets), iouType="keypoints")
      evaluation.params.kpt_oks_sigmas = self._sigmas
      evaluation.evaluate()
      evaluation.accumulate()
      evaluation.summarize()
    return np.asarray(evaluation.stats)[:len(NUMBERS)]

  def _definition(self, counted: int, kept: list[tuple[Poses, CheckedPeople, int]],
                  excluded: int) -> str:
    people = sum(len(truth.boxes) for _, truth, _ in kept)
    odd = sum(int(np.count_nonzero(~_has_size(truth))) for _, truth, _ in kept)
    cut = [more for _, _, more in kept if more]
    beyond = f", {sum(cut):,} more of {len(cut):,} pictures not counted" if cut else ""
    return (
        f"COCO AP of keypoints ({self._version}; {len(self._sigmas)} points, "
        f"{_described(self._sigmas)}; 10 OKS thresholds .50 to .95, 101 recalls; {counted:,} of "
        f"{people:,} people counted, crowds and people without points ignored"
        f"{f', {odd:,} of area 0 or not finite too' if odd else ''}; best {MOST} poses of a "
        f"picture{beyond}; equal scores by picture id, then points; {len(kept):,} pictures, "
        f"{excluded:,} left out)")


def _people(picture: int, people: CheckedPeople) -> Iterable[dict[str, Any]]:
  """True people in COCO's words."""
  has_size = _has_size(people)
  points = _xyv(people.points)
  points[~has_size, :, 2] = 0
  area = np.where(has_size, people.area, areas(people.boxes))
  size = people.boxes[:, 2:] - people.boxes[:, :2]
  boxes = np.concatenate([people.boxes[:, 1::-1], size[:, ::-1]], axis=1)
  for i in range(len(boxes)):
    yield {"image_id": picture, "category_id": 1, "bbox": boxes[i].tolist(),
           "keypoints": points[i].ravel().tolist(), "area": float(area[i]),
           "num_keypoints": int(np.count_nonzero(points[i, :, 2])),
           "iscrowd": int(people.crowd[i])}


def _poses(picture: int, poses: Poses) -> Iterable[dict[str, Any]]:
  """Found poses in COCO's words."""
  visible = np.ones((*poses.points.shape[:2], 1))
  for points, score in zip(_xyv(np.concatenate([poses.points, visible], axis=2)), poses.scores):
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    yield {"image_id": picture, "category_id": 1, "bbox": [*low.tolist(), *(high - low).tolist()],
           "keypoints": points.ravel().tolist(), "area": float(np.prod(high - low)),
           "score": float(score), "iscrowd": 0}


def _has_size(people: CheckedPeople) -> np.ndarray:
  return np.isfinite(people.area) & (people.area > 0)


def _xyv(points: np.ndarray) -> np.ndarray:
  """(x, y, visibility) with COCO's pixel indices from 0 of our (y, x, visibility)."""
  return points[..., [1, 0, 2]] - [0.5, 0.5, 0.0]


def _numbered(records: list[dict]) -> list[dict]:
  """With ids from 1: an id 0 reads as unmatched."""
  return [{**record, "id": i} for i, record in enumerate(records, 1)]


def _indexed(dataset: dict[str, Any]) -> coco.COCO:
  truth = coco.COCO()
  truth.dataset = dataset
  truth.createIndex()
  return truth


def _described(sigmas: np.ndarray) -> str:
  known = cocoeval.Params("keypoints").kpt_oks_sigmas
  if sigmas.shape == known.shape and np.allclose(sigmas, known, rtol=1e-9, atol=0):
    return "COCO's sigmas"
  return f"sigmas with SHA-256 {hashlib.sha256(sigmas.astype('<f8').tobytes()).hexdigest()[:8]}"
