"""Evaluation from files alone, as tests hold it against COCO's own: annotations and results."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from jft_reps.errors import DataError, printable
from jft_reps.metrics import detection_files
from jft_reps.metrics.coco import CocoBoxes
from jft_reps.metrics.detections import Detections, Truth, none
from jft_reps.metrics.results import Result


@dataclasses.dataclass(frozen=True, eq=False)
class CocoFiles:
  """What the two files say.

  Attributes:
    labels: names of the categories in the order of their ids.
    category_ids: these ids.
    pictures: detections and truth by picture id, the number of the image as text.
  """

  labels: tuple[str, ...]
  category_ids: tuple[int, ...]
  pictures: dict[str, tuple[Detections, Truth]]

  def evaluate(self, backend: str = "pycocotools") -> Result:
    """COCO's numbers over all pictures of the annotations."""
    metric = CocoBoxes(self.labels, self.category_ids, backend)
    for name, (detections, truth) in self.pictures.items():
      metric.update(name, detections, truth)
    return metric.result()


def read_coco(annotations: str | os.PathLike, results: str | os.PathLike) -> CocoFiles:
  """Reads true boxes and results; a picture of the annotations without results found nothing.

  Raises:
    DataError: not such files; ids that are there twice; a box or a result in an image or of a
      category that the annotations do not list.
    NumericError: numbers that are not finite.
  """
  where = printable(os.fspath(annotations))
  images, boxes, categories = detection_files.fields(
      detection_files.read_json(annotations), ("images", "annotations", "categories"), where)
  names = dict(zip(_ids(categories, "category", where),
                   (detection_files.fields(c, ("name",), where)[0] for c in categories)))
  order = sorted(names)
  found = detection_files.read_coco_results(results, order)
  rows: dict[int, list[tuple]] = {image: [] for image in _ids(images, "image", where)}
  _ids(boxes, "annotation", where)
  for box in boxes:
    image, row = _true_box(box, {c: i for i, c in enumerate(order)}, where)
    if type(image) is not int or image not in rows:
      raise DataError("coco-image", f"{where} annotation {box['id']}",
                      f"image_id {printable(image)}", "an image of this file")
    rows[image].append(row)
  unknown = found.keys() - {str(image) for image in rows}
  if unknown:
    raise DataError("coco-image", printable(os.fspath(results)),
                    f"image_id {min(unknown)}, and {len(unknown) - 1} more",
                    f"images of {where}", "Do these results belong to this data set?")
  return CocoFiles(tuple(str(names[c]) for c in order), tuple(order),
                   {str(image): (found.get(str(image), none()), _truth(mine))
                    for image, mine in rows.items()})


def _true_box(box: Any, classes: dict[int, int], where: str) -> tuple[int, tuple]:
  where = f"{where} annotation {printable(box['id'])}"
  image, category, bbox = detection_files.fields(box, ("image_id", "category_id", "bbox"), where)
  if type(category) is not int or category not in classes:
    raise DataError("coco-category", where, f"category_id {printable(category)}",
                    "a category of this file")
  yxyx = detection_files.yxyx(bbox, where)
  area, crowd = box.get("area", bbox[2] * bbox[3]), box.get("iscrowd", 0)
  if not detection_files.is_number(area) or crowd not in (0, 1):
    raise DataError("coco-entry", where, f"area {printable(area)}, iscrowd {printable(crowd)}",
                    "a number, and 0 or 1")
  return image, (yxyx, classes[category], bool(crowd), area)


def _truth(rows: list[tuple]) -> Truth:
  boxes, classes, crowd, area = zip(*rows) if rows else ((), (), (), ())
  return Truth(np.array(boxes, np.float64).reshape(-1, 4), np.array(classes, np.int64),
               np.array(crowd, bool), area=np.array(area, np.float64))


def _ids(entries: Any, kind: str, where: str) -> Sequence[int]:
  """The ids of a list of images, categories or annotations."""
  if not isinstance(entries, list):
    raise DataError("coco-entry", where, f"a {type(entries).__name__}", f"a list, one {kind} each")
  ids = [detection_files.fields(e, ("id",), f"{where} {kind} {i}")[0]
         for i, e in enumerate(entries)]
  wrong = next((i for i in ids if type(i) is not int), None)
  if wrong is not None:
    raise DataError("coco-id", where, f"{kind} id {printable(wrong)!r}", "integers")
  if len(set(ids)) < len(ids):
    twice = next(i for n, i in enumerate(ids) if i in ids[:n])
    raise DataError("coco-id-twice", where, f"{kind} id {twice} twice", "each id once")
  return ids
