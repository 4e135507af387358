"""COCO's twelve numbers for boxes (Lin et al. 2014; cocodataset.org, "Detection Evaluation").

AP is the mean of precision over 101 recalls, IoU thresholds .50, .55, ..., .95 and classes; AP50
and AP75 are those of one threshold; APs, APm and APl count true boxes of areas up to 32², up to 96²
and beyond, where area is COCO's own, of the segmentation. AR is the recall reached, a mean alike.
Boxes around a crowd are neither positives nor held against what is found in them. VOC's difficult
boxes mean nothing to COCO and count as any other.

The matching is pycocotools' (see `coco_backends`). What it leaves open is settled here:

* "All metrics are computed allowing for at most 100 top-scoring detections per image (across all
  categories)", says COCO's page, while pycocotools takes 100 for each class. We cut first.
* Numbers without a true box that counts are None, where it says -1.
* Nothing found at all is an AP of 0, where it fails.
* Equal scores are ranked by picture id and then by box, where it goes by the order they came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jft_reps.errors import ConfigError
from jft_reps.metrics import coco_backends
from jft_reps.metrics.coco_backends import ClassBoxes
from jft_reps.metrics.detections import CheckedTruth, Detections, Truth
from jft_reps.metrics.pictures import Pictures, unique_labels
from jft_reps.metrics.results import Result

MOST = 100
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
# Of each number: threshold (None: all), range of areas, limit on detections (1, 10, 100).
_PRECISIONS = {"AP": (None, _ALL, 2), "AP50": (0, _ALL, 2), "AP75": (5, _ALL, 2),
               "APs": (None, _SMALL, 2), "APm": (None, _MEDIUM, 2), "APl": (None, _LARGE, 2)}
_RECALLS = {"ARmax1": (None, _ALL, 0), "ARmax10": (None, _ALL, 1), "ARmax100": (None, _ALL, 2),
            "ARs": (None, _SMALL, 2), "ARm": (None, _MEDIUM, 2), "ARl": (None, _LARGE, 2)}
NUMBERS = (*_PRECISIONS, *_RECALLS)


class CocoBoxes:
  """Takes pictures one by one; keeps 48 bytes per detection, at most 100 of each picture.

  Args:
    labels: names of the classes, in their order.
    category_ids: COCO's ids of them, for files of results; None: 1, 2, ...
    backend: "pycocotools", or "faster" with the extra `fast-coco`: the same numbers sooner.

  Raises:
    ConfigError: a label or id twice, lengths that differ, a backend that is not there.
  """

  def __init__(self, labels: Sequence[str], category_ids: Sequence[int] | None = None,
               backend: str = "pycocotools"):
    self._labels = unique_labels(labels)
    self.category_ids = tuple(range(1, len(self._labels) + 1) if category_ids is None
                              else map(int, category_ids))
    if len(set(self.category_ids)) != len(self._labels):
      raise ConfigError("coco-categories", "category_ids", f"{len(set(self.category_ids))} ids",
                        f"one for each of {len(self._labels)} labels")
    self._evaluate, self._version = coco_backends.load(backend)
    self._pictures = Pictures("CocoBoxes")

  def update(self, picture_id: str, detections: Detections, truth: Truth) -> None:
    """Takes a picture. One that is refused leaves nothing behind.

    Raises:
      DataError: a picture twice; see `Detections.checked` and `Truth.checked`.
      NumericError: numbers that are not finite.
    """
    name = self._pictures.new(picture_id)
    found = detections.checked(name, len(self._labels))
    objects = truth.checked(name, len(self._labels))
    self._pictures.add(name, (found[:MOST], objects, max(0, len(found.scores) - MOST)))

  def result(self, exclude_ids: Iterable[Any] | None = None) -> Result:
    """The numbers over all pictures so far; more may follow.

    Args:
      exclude_ids: pictures to leave out; the result equals that of a run without them.

    Raises:
      ConfigError: `exclude_ids` is a single string.
    """
    kept = self._pictures.without(exclude_ids)
    classes = len(self._labels)
    # -1 is pycocotools' mark of what is not defined.
    precision = np.full((coco_backends.THRESHOLDS, coco_backends.RECALLS, classes,
                         coco_backends.AREAS, coco_backends.LIMITS), -1.0)
    recall = np.delete(precision, np.s_[1:], axis=1)[:, 0]
    true_counts, counts = [], []
    for c, boxes in enumerate(_by_class(kept, classes)):
      true_counts.append(int(np.count_nonzero(~boxes.crowd)))
      counts.append(len(boxes.scores))
      if true_counts[c]:  # without, nothing of this class is defined
        precision[:, :, c], recall[:, c] = self._evaluate(boxes)
    numbers = {name: _mean(_part(precision, *where)) for name, where in _PRECISIONS.items()}
    numbers |= {name: _mean(_part(recall, *where)) for name, where in _RECALLS.items()}
    rows = {label: {**{name: _mean(_part(precision[:, :, c:c + 1], *_PRECISIONS[name]))
                       for name in ("AP", "AP50")},
                    "positives": true_counts[c], "detections": counts[c]}
            for c, label in enumerate(self._labels)}
    excluded, undefined = len(self._pictures) - len(kept), true_counts.count(0)
    cut = [more for _, _, more in kept if more]
    return Result(numbers, rows, undefined, len(kept), excluded,
                  self._definition(undefined, len(kept), excluded, cut))

  def _definition(self, undefined: int, pictures: int, excluded: int, cut: list[int]) -> str:
    beyond = (f", {sum(cut):,} more of {len(cut):,} pictures not counted" if cut else "")
    return (
        f"COCO AP of boxes ({self._version}; 10 IoU thresholds .50 to .95, 101 recalls, mean over "
        f"{len(self._labels) - undefined} of {len(self._labels)} classes with a positive; crowds "
        f"ignored; best {MOST} detections of a picture over all classes{beyond}; equal scores by "
        f"picture id, then box; {pictures:,} pictures, {excluded:,} left out)")


def _by_class(kept: list[tuple[Detections, CheckedTruth, int]],
              classes: int) -> Iterable[ClassBoxes]:
  """The boxes of each class in turn."""
  found, truth = [picture[0] for picture in kept], [picture[1] for picture in kept]
  true_columns = (_numbered([t.boxes for t in truth]), _xywh([t.boxes for t in truth]),
                  _joined([t.crowd for t in truth], bool),
                  _joined([t.area for t in truth], np.float64))
  found_columns = (_numbered([d.boxes for d in found]), _xywh([d.boxes for d in found]),
                   _joined([d.scores for d in found], np.float64))
  true_parts = _parts(_joined([t.classes for t in truth], np.int64), classes)
  found_parts = _parts(_joined([d.classes for d in found], np.int64), classes)
  for mine, own in zip(true_parts, found_parts):
    yield ClassBoxes(*(column[mine] for column in true_columns),
                     *(column[own] for column in found_columns))


def _parts(classes: np.ndarray, count: int) -> list[np.ndarray]:
  """Indices of each class, in the order they have."""
  order = np.argsort(classes, kind="stable")
  return np.split(order, np.searchsorted(classes[order], np.arange(1, count)))


def _joined(columns: list[np.ndarray], dtype: type) -> np.ndarray:
  return np.concatenate([np.zeros(0, dtype), *columns])


def _numbered(columns: list[np.ndarray]) -> np.ndarray:
  return np.repeat(np.arange(len(columns)), [len(column) for column in columns])


def _xywh(boxes: list[np.ndarray]) -> np.ndarray:
  """`[x, y, width, height]` of `[ymin, xmin, ymax, xmax]`."""
  ymin, xmin, ymax, xmax = np.concatenate([np.zeros((0, 4)), *boxes]).T
  return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], 1)


def _part(values: np.ndarray, threshold: int | None, area: int, limit: int) -> np.ndarray:
  return (values if threshold is None else values[[threshold]])[..., area, limit]


def _mean(values: np.ndarray) -> float | None:
  defined = values[values > -1]
  return float(np.mean(defined)) if defined.size else None
