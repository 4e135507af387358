"""Outlines of objects in COCO's format to class indices per pixel.

What reaches pycocotools, whose C code trusts what it is given, is checked against the picture
before: it takes memory by the length of an outline, wherever it lies. Run-length codes are
decoded here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jft_reps import errors
from jft_reps.data.sources import raw

_VOID = 255
_LONGEST = 4e6  # pixels along all polygons of an object; the C code takes some 100 bytes for each
_ZERO, _DIGITS = 48, 64  # the characters of a compressed code stand for 0 to 63
_FORM = "polygons, lists of x, y, x, y, … in pixels, or a run-length code of counts and size"


def packed(segmentation: Any) -> Any:
  """The numbers of a well-formed outline as arrays, a sixth of the memory; others unchanged."""
  try:
    if isinstance(segmentation, list):
      return tuple(_numbers(polygon, np.float64) for polygon in segmentation)
    if isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), list):
      return {**segmentation, "counts": _numbers(segmentation["counts"], np.int64)}
  except (TypeError, OverflowError):
    pass
  return segmentation


def _numbers(values: Any, dtype: type) -> np.ndarray:
  """An array of a list of numbers of JSON; whole ones where `dtype` is."""
  allowed = {int} if dtype is np.int64 else {int, float}
  if not isinstance(values, list) or not set(map(type, values)) <= allowed:
    raise TypeError
  return np.array(values, dtype)


def outline(entry: dict[str, Any], index: int, where: str) -> raw.Outline:
  """The outline of an annotation whose `segmentation` is `packed`.

  Raises:
    errors.DataError: it is neither polygons of three points or more nor a run-length code.
  """
  there = entry["segmentation"]
  if isinstance(there, tuple):
    _expect(there != (), where, "no polygon", "at least one")
    for polygon in there:
      _expect(len(polygon) >= 6 and len(polygon) % 2 == 0, where,
              f"a polygon of {len(polygon)} numbers", "x, y of at least 3 points")
    return raw.Outline(index, where, there)
  _expect(isinstance(there, dict), where, errors.printable(there), _FORM)
  counts, size = there.get("counts"), there.get("size")
  whole = isinstance(counts, np.ndarray) or (isinstance(counts, str) and counts.isascii())
  _expect(whole, where, f"counts {errors.printable(counts)!r}", "whole numbers or COCO's text")
  sides = isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)
  _expect(sides, where, f"size {errors.printable(size)!r}", "height and width")
  return raw.Outline(index, where, (), counts, (size[0], size[1]))


def index_mask(outlines: tuple[raw.Outline, ...], height: int, width: int) -> np.ndarray:
  """Draws objects into one mask, as pycocotools draws each of them.

  A pixel that objects of different classes claim becomes void (255), since their order says
  nothing of which is in front; torchvision's reference segmentation makes it void too, and that
  of overlapping objects of one class besides, which keeps its class here. Crowds are objects as
  others.

  Args:
    outlines: of the objects.
    height: of the picture.
    width: of the picture.

  Returns:
    uint8 `[height, width]`, 0 where no object is.

  Raises:
    errors.DataError: an outline is of another picture's size, or reaches far outside of it.
  """
  mask = np.zeros((height, width), np.uint8)
  for one in outlines:
    covered = (_polygons if one.polygons else _runs)(one, height, width)
    other = covered & (mask != 0) & (mask != one.index)
    mask[covered] = one.index
    mask[other] = _VOID
  return mask


def _polygons(one: raw.Outline, height: int, width: int) -> np.ndarray:
  """bool `[height, width]` of the union of polygons."""
  from pycocotools import mask as coco_mask

  sides = np.array([width, height], np.float64)
  length = 0.0
  for polygon in one.polygons:
    points = polygon.reshape(-1, 2)
    inside = (points >= -sides) & (points <= 2 * sides)  # false of NaN
    _expect(bool(inside.all()), one.where,
            f"a point {points[~inside.all(1)][:1].tolist()}",
            f"x, y in or near a picture of {width} x {height}")
    length += np.abs(np.diff(points, axis=0, append=points[:1])).max(1).sum()
  _expect(length <= _LONGEST, one.where, f"polygons of {length:.0f} pixels", f"{_LONGEST:.0f}")
  runs = coco_mask.frPyObjects([polygon.tolist() for polygon in one.polygons], height, width)
  return coco_mask.decode(coco_mask.merge(runs)).astype(bool)


def _runs(one: raw.Outline, height: int, width: int) -> np.ndarray:
  """bool `[height, width]` of a run-length code."""
  _expect(one.size == (height, width), one.where, f"size {errors.printable(one.size)}",
          f"{(height, width)}, that of the picture")
  counts = (np.array(_decompressed(one.counts, height * width, one.where), np.int64)
            if isinstance(one.counts, str) else np.asarray(one.counts))
  least, most = int(counts.min(initial=0)), int(counts.max(initial=0))
  _expect(0 <= least and most <= height * width, one.where,
          f"counts from {least} to {most}", f"0 to {height * width}")
  _expect(counts.sum() == height * width, one.where,
          f"counts that sum to {counts.sum()}", f"{height * width}, the pixels of the picture")
  inside = np.arange(len(counts)) % 2 == 1
  return np.repeat(inside, counts).reshape(width, height).T


def _decompressed(text: str, most: int, where: str) -> list[int]:
  """The numbers of COCO's compressed text: five bits a character, the difference to the last but
  one from the fourth number on (`rleFrString` of pycocotools)."""
  counts: list[int] = []
  value = shift = 0
  for character in text:
    digit = ord(character) - _ZERO
    _expect(0 <= digit < _DIGITS and shift <= 30, where,
            f"counts with {errors.printable(character)!r}", "COCO's compressed text")
    value |= (digit & 31) << shift
    shift += 5
    if digit & 32:
      continue
    value -= (1 << shift) if digit & 16 else 0
    value += counts[-2] if len(counts) > 2 else 0
    _expect(0 <= value <= most, where, f"a count of {value}", f"0 to {most}")
    counts.append(value)
    value = shift = 0
  _expect(shift == 0, where, "compressed counts that end within a number", "the whole text")
  return counts


def _expect(condition: bool, where: str, found: str, expected: str) -> None:
  if not condition:
    raise errors.DataError("coco-outline", where, found, expected)
