"""Boxes of annotations held against their pictures: clipped, dropped, counted and limited.

Keypoints stay with their box. Those outside of their picture are no longer labelled.
"""

from __future__ import annotations

import collections
from typing import Any

import numpy as np

from jft_reps import errors
from jft_reps.data.sources import raw

_NOISE = 1e-3  # pixels; float32 and decimals of two places are no further off
_TOO_MANY, _FEW, _EARLY = 0.05, 2, 1000


class PlacedBoxes:
  """Boxes of a build, on their way from annotations to records.

  Attributes:
    kept: boxes in the records.
    clipped: those of them that reached out of their picture.
    bare: pictures without a box.
    dropped: boxes left out, by name of the reason: `no_area`, `outside`.
    people: of a set with keypoints: how many `people` (kept boxes that are no crowd),
      `people_with_points` and `points` they have; labelled `points_outside` of the picture, of all.
  """

  def __init__(self):
    self.kept = self.clipped = self.bare = self._tiny = 0
    self.dropped: collections.Counter = collections.Counter()
    self.people: collections.Counter = collections.Counter()

  def place(
      self, objects: raw.Objects, height: int, width: int
  ) -> tuple[dict[str, Any], list[str]]:
    """Clips the boxes to their picture and leaves out those of which nothing remains.

    Args:
      objects: of the annotation.
      height: of the decoded picture.
      width: of the decoded picture.

    Returns:
      Boxes and keypoints (normalised), flags and areas as `schema.encode` takes them, and the
      class names.
    """
    sides = np.array([height, width, height, width], np.float64)
    boxes = np.asarray(objects.boxes, np.float64).reshape(-1, 4)
    boxes = boxes * sides if objects.normalised else boxes
    boxes = boxes - np.array([1.0, 1.0, 0.0, 0.0]) if objects.one_based else boxes
    inside = np.clip(boxes, 0.0, sides)
    solid, seen = _solid(boxes), _solid(inside)
    kept = solid & seen
    self.kept += int(kept.sum())
    self.clipped += int((np.abs(inside - boxes).max(1, initial=0.0) > _NOISE)[kept].sum())
    self.bare += int(not kept.any())
    self._tiny += int(((boxes[:, 2:] - boxes[:, :2]).max(1, initial=0.0) <= 1.0)[kept].sum())
    self.dropped.update({"no_area": int((~solid).sum()), "outside": int((solid & ~seen).sum())})
    extent = np.prod(inside[:, 2:] - inside[:, :2], 1)
    area = np.asarray(objects.area, np.float64).reshape(-1)
    fields = {
        "boxes": inside[kept] / sides,
        "crowd": np.asarray(objects.crowd, bool)[kept],
        "difficult": np.asarray(objects.difficult, bool)[kept],
        "area": np.where(np.isnan(area), extent, area)[kept],
    }
    if objects.keypoints is not None:
      fields["keypoints"] = self._points(
          np.asarray(objects.keypoints, np.float64)[kept], fields["crowd"], sides[:2])
    return fields, [name for name, keep in zip(objects.labels, kept, strict=True) if keep]

  def _points(self, points: np.ndarray, crowd: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Normalised keypoints of the kept boxes; zeros where none is labelled inside."""
    labelled = points[..., 2] > 0
    inside = ((points[..., :2] >= 0) & (points[..., :2] <= sides)).all(-1)
    known = labelled & inside
    own = known[~crowd]
    self.people.update({
        "people": len(own), "people_with_points": int(own.any(-1).sum()),
        "points": int(own.sum()), "points_outside": int((labelled & ~inside).sum())})
    return np.where(known[..., np.newaxis], points / np.append(sides, 1.0), 0.0)

  def check(self, where: str, done: bool = False) -> None:
    """Holds the limit on boxes that look as if they were not in pixels.

    Args:
      where: for the text of the error.
      done: all boxes were seen; before that, nothing is decided on fewer than a thousand.

    Raises:
      errors.DataError: more than 5 % are without area, outside of their picture or at most one
        pixel large.
    """
    lost = sum(self.dropped.values())
    bad, boxes = lost + self._tiny, lost + self.kept
    if bad > max(_FEW, _TOO_MANY * boxes) and (done or boxes >= _EARLY):
      raise errors.DataError(
          "degenerate-boxes", where,
          f"{bad} of {boxes} boxes are degenerate ({self.text}, within one pixel {self._tiny})",
          f"at most {_TOO_MANY:.0%}",
          "Are these pixel coordinates? COCO: x, y, width, height; VOC: xmin, ymin, xmax, ymax; "
          "both of the picture as its file stores it.")

  def to_json(self) -> dict[str, Any]:
    """What `merge` takes."""
    return {"kept": self.kept, "clipped": self.clipped, "bare": self.bare, "tiny": self._tiny,
            "dropped": dict(self.dropped), "people": dict(self.people)}

  def merge(self, counts: dict[str, Any]) -> None:
    """Adds what became of the boxes of another part of the set, from its `to_json`."""
    self.kept += counts["kept"]
    self.clipped += counts["clipped"]
    self.bare += counts["bare"]
    self._tiny += counts["tiny"]
    self.dropped.update(counts["dropped"])
    self.people.update(counts["people"])

  @property
  def text(self) -> str:
    """Boxes left out, by reason."""
    parts = [f"{name} {count}" for name, count in sorted(self.dropped.items()) if count]
    return ", ".join(parts) or "none"

  @property
  def metadata(self) -> dict[str, Any]:
    """What the manifest says of them."""
    dropped = {name: count for name, count in self.dropped.items() if count}
    return {"boxes": self.kept, "clipped_boxes": self.clipped, "dropped_boxes": dropped,
            **self.people}


def _solid(boxes: np.ndarray) -> np.ndarray:
  """Whether both sides of a box are more than rounding leaves."""
  return (boxes[:, 2:] - boxes[:, :2] > _NOISE).all(1)
