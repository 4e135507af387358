"""Files of results and of COCO's annotations, read in the plainest way, to hold ours against."""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib

import numpy as np

from jft_reps.metrics.coco import CocoBoxes
from jft_reps.metrics.detections import Detections, Truth
from jft_reps.metrics.poses import Poses


def read_voc_results(directory, labels) -> dict[str, Detections]:
  """Detections by picture id, of one file per class with lines of 1-based inclusive pixels."""
  rows = collections.defaultdict(list)
  for c, label in enumerate(labels):
    for line in pathlib.Path(directory, f"comp4_det_test_{label}.txt").read_text().splitlines():
      name, *numbers = line.split()
      rows[name].append((c, *map(float, numbers)))
  found = {}
  for name, mine in rows.items():
    classes, scores, xmin, ymin, xmax, ymax = np.array(mine).T
    boxes = np.stack([ymin - 1, xmin - 1, ymax, xmax], 1)
    found[name] = Detections(boxes, classes.astype(int), scores).checked(name, len(labels))
  return found


def read_coco_keypoints(path, count: int) -> dict[str, Poses]:
  """Poses by picture id, of a list of entries with x, y, v from pixel index 0."""
  rows = collections.defaultdict(list)
  for entry in json.loads(pathlib.Path(path).read_text()):
    rows[str(entry["image_id"])].append(entry)
  return {name: Poses(
      np.array([e["keypoints"] for e in mine]).reshape(-1, count, 3)[..., 1::-1] + 0.5,
      np.array([e["score"] for e in mine])).checked(name, count) for name, mine in rows.items()}


@dataclasses.dataclass(frozen=True)
class CocoFiles:
  """Detections and truth by picture id, of COCO's annotations beside a results file."""

  labels: tuple[str, ...]
  category_ids: tuple[int, ...]
  pictures: dict[str, tuple[Detections, Truth]]

  def evaluate(self, backend="pycocotools"):
    """COCO's numbers over all pictures of the annotations."""
    metric = CocoBoxes(self.labels, self.category_ids, backend)
    for name, (detections, truth) in self.pictures.items():
      metric.update(name, detections, truth)
    return metric.result()


def read_coco(annotations, results) -> CocoFiles:
  """The two files together; a picture of the annotations without results found nothing."""
  truth, found = (json.loads(pathlib.Path(p).read_text()) for p in (annotations, results))
  names = {c["id"]: c["name"] for c in truth["categories"]}
  order = sorted(names)
  pictures = {}
  for image in truth["images"]:
    mine, theirs = ([e for e in entries if e["image_id"] == image["id"]]
                    for entries in (truth["annotations"], found))
    objects = Truth(
        _yxyx(mine), _classes(mine, order), np.array([bool(e["iscrowd"]) for e in mine], bool),
        area=np.array([e["area"] for e in mine], float))
    detections = Detections(
        _yxyx(theirs), _classes(theirs, order), np.array([e["score"] for e in theirs], float))
    pictures[str(image["id"])] = detections, objects
  return CocoFiles(tuple(names[c] for c in order), tuple(order), pictures)


def _yxyx(entries) -> np.ndarray:
  x, y, width, height = np.array([e["bbox"] for e in entries], float).reshape(-1, 4).T
  return np.stack([y, x, y + height, x + width], 1)


def _classes(entries, order) -> np.ndarray:
  return np.array([order.index(e["category_id"]) for e in entries], int)
