"""PASCAL VOC's average precision of boxes, as its development kit computes it.

Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge" (IJCV 2010), and
`VOCevaldet.m`: per class, detections by falling score; each belongs to the true box of its class
and picture that it overlaps most. Overlap of at least `iou` with one that nobody found before is a
true positive, with one found before a false positive. One that overlaps a difficult box most
counts as neither, and difficult boxes are not among the positives; crowd boxes, which VOC does not
have, are treated alike. AP is the area under the monotone envelope of precision over recall
(VOC2010 and later), or the mean of that envelope at recall 0, 0.1, ..., 1 (until VOC2009). Recalls
are compared with these in floats, as NumPy makes them: 9/15 is less than the seventh, 0.6 + 2^-53,
which decides the published values of small sets.

The kit's coordinates are pixel indices from 1 with the last pixel inside, so a width is
xmax - xmin + 1: that is the +1 pixel convention. Our boxes are continuous and from 0, so that
[ymin, xmin, ymax, xmax] of ours are [ymin + 1, xmin + 1, ymax, xmax] of the kit, and kit width
xmax - xmin + 1 is our xmax - xmin. Where the +1 is dropped, as in the TensorFlow Object Detection
API, which takes the kit's coordinates for continuous ones, every side is one pixel shorter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jft_reps.errors import ConfigError
from jft_reps.metrics.detections import Detections, Truth, areas
from jft_reps.metrics.pictures import Pictures, unique_labels
from jft_reps.metrics.results import Result, mean

_METHODS = {"area": "area under the monotone precision-recall curve (VOC2010 and later)",
            "11-point": "mean precision at recall 0, 0.1, ..., 1 (VOC2007)"}


class VocBoxes:
  """Takes pictures one by one; keeps a few numbers per detection.

  Args:
    labels: names of the classes, in their order.
    iou: least overlap of a true positive, in (0, 1].
    method: "area" or "11-point", see above.
    plus_one: the kit's +1 pixel convention, see above.

  Raises:
    ConfigError: a value that is none of the above, or a label twice.
  """

  def __init__(self, labels: Sequence[str], iou: float = 0.5, method: str = "area",
               plus_one: bool = True):
    self._labels = unique_labels(labels)
    if not 0 < iou <= 1:
      raise ConfigError("voc-iou", "iou", f"{iou!r}", "a number above 0 and at most 1")
    if method not in _METHODS:
      raise ConfigError("voc-method", "method", repr(method), " or ".join(_METHODS))
    self._iou, self._method, self._plus_one = iou, method, plus_one
    self._pictures = Pictures("VocBoxes")

  def update(self, picture_id: str, detections: Detections, truth: Truth) -> None:
    """Takes a picture. One that is refused leaves nothing behind.

    Raises:
      DataError: a picture twice; see `Detections.checked` and `Truth.checked`.
      NumericError: numbers that are not finite.
    """
    name = self._pictures.new(picture_id)
    found = detections.checked(name, len(self._labels))
    objects = truth.checked(name, len(self._labels))
    overlap = np.where(found.classes[:, None] == objects.classes[None],
                       overlaps(found.boxes, objects.boxes, 0.0 if self._plus_one else 1.0), 0.0)
    if overlap.shape[1]:
      best = np.argmax(overlap, axis=1)
      matched = np.where(overlap[np.arange(len(best)), best] >= self._iou, best, -1)
    else:
      matched = np.full(len(found.scores), -1)
    self._pictures.add(name, (found.classes, found.scores, matched, objects.classes,
                              objects.difficult | objects.crowd))

  def result(self, exclude_ids: Iterable[Any] | None = None) -> Result:
    """The numbers over all pictures so far; more may follow.

    Args:
      exclude_ids: pictures to leave out; the result equals that of a run without them.

    Raises:
      ConfigError: `exclude_ids` is a single string.
    """
    kept = self._pictures.without(exclude_ids)
    offsets = np.cumsum([0] + [len(picture[3]) for picture in kept])
    classes, scores, matched, true_classes, ignored = (
        np.concatenate([np.zeros(0, dtype)] + [picture[i] for picture in kept])
        for i, dtype in enumerate((np.int64, np.float64, np.int64, np.int64, bool)))
    first = np.repeat(offsets[:-1], [len(picture[0]) for picture in kept])
    matched = np.where(matched >= 0, matched + first, -1)
    rows = {}
    for c, label in enumerate(self._labels):
      mine = np.flatnonzero(classes == c)
      mine = mine[np.argsort(-scores[mine], kind="stable")]
      positives = int(np.count_nonzero((true_classes == c) & ~ignored))
      ap = average_precision(*_outcomes(matched[mine], ignored), positives, self._method)
      rows[label] = {"AP": ap, "positives": positives, "detections": len(mine)}
    aps = [row["AP"] for row in rows.values()]
    excluded = len(self._pictures) - len(kept)
    return Result({"mAP": mean(aps)}, rows, aps.count(None), len(kept), excluded,
                  self._definition(aps.count(None), len(kept), excluded))

  def _definition(self, undefined: int, pictures: int, excluded: int) -> str:
    convention = "xmax - xmin + 1" if self._plus_one else "xmax - xmin, without the kit's +1"
    return (
        f"mAP@{self._iou:g} (PASCAL VOC boxes; AP = {_METHODS[self._method]}, mean over "
        f"{len(self._labels) - undefined} of {len(self._labels)} classes with a positive; widths "
        f"are {convention} in 1-based pixels; difficult boxes are neither positives nor "
        f"penalised; equal scores by picture id, then box; {pictures:,} pictures, {excluded:,} "
        "left out)")


def overlaps(boxes: np.ndarray, others: np.ndarray, shorter: float = 0.0) -> np.ndarray:
  """Intersection over union of `[n, 4]` and `[m, 4]`; 0 where both are empty.

  Args:
    boxes: as in `Detections`.
    others: the same.
    shorter: pixels by which every side, also of the intersection, counts shorter.

  Returns:
    float64 `[n, m]`.
  """
  begin = np.array([shorter, shorter, 0.0, 0.0])
  boxes, others = boxes + begin, others + begin
  low = np.maximum(boxes[:, None, :2], others[None, :, :2])
  high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
  shared = np.prod(np.maximum(high - low, 0.0), axis=2)
  union = areas(boxes)[:, None] + areas(others)[None] - shared
  return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


def average_precision(hits: np.ndarray, misses: np.ndarray, positives: int,
                      method: str = "area") -> float | None:
  """AP of one class.

  Args:
    hits: bool `[n]` true positives by falling score.
    misses: bool `[n]` false positives.
    positives: true boxes that count.
    method: "area" or "11-point".

  Returns:
    A number in [0, 1]; None without positives.
  """
  if not positives:
    return None
  found, wrong = np.cumsum(hits), np.cumsum(misses)
  precision = found / np.maximum(found + wrong, 1)
  envelope = np.maximum.accumulate(precision[::-1])[::-1]
  if method == "area":
    return float(envelope[hits].sum() / positives)
  reached = [np.flatnonzero(found / positives >= recall) for recall in np.linspace(0, 1, 11)]
  return float(sum(envelope[places[0]] for places in reached if places.size) / 11)


def _outcomes(matched: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """True and false positives, both bool `[n]`, of matches by falling score."""
  misses = matched < 0
  counts = ~misses
  counts[counts] = ~ignored[matched[counts]]
  hits = np.zeros(len(matched), bool)
  _, first = np.unique(matched[counts], return_index=True)
  hits[np.flatnonzero(counts)[first]] = True
  return hits, misses | (counts & ~hits)
