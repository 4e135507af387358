"""Keypoints of people in annotation files in COCO's format (`person_keypoints_*.json`).

A person's `keypoints` are x, y, v of every point: x and y index pixels from 0, v is 0 not labelled,
1 hidden, 2 visible.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from jft_reps import errors
from jft_reps.data.records import keypoint_schema
from jft_reps.data.sources.coco import files

_CENTRE = 0.5  # of a pixel from its edge, which COCO's indices do not count


def without(
    content: dict[str, Any], path: str, schema: keypoint_schema.KeypointSchema
) -> set[int]:
  """Ids of the categories that have no keypoints; those of the others are the schema's.

  Args:
    content: of `coco_json.load`.
    path: of the file, for errors.
    schema: whose points people are to have.

  Raises:
    errors.DataError: a category has other keypoints or joins them otherwise, or none has any.
  """
  found: set[int] = set()
  count = 0
  for category, entry, where in files.identified(content, "categories", "category", path):
    count += 1
    if not entry.get("keypoints"):
      found.add(category)
      continue
    _check_names(entry["keypoints"], schema, where)
    if entry.get("skeleton"):
      _check_skeleton(entry["skeleton"], schema, where)
  if len(found) == count:
    raise errors.DataError(
        "coco-keypoints", path, "no category names keypoints", "a category with keypoints",
        "Is it person_keypoints_*.json? instances_*.json has none.")
  return found


def _check_names(names: Any, schema: keypoint_schema.KeypointSchema, where: str) -> None:
  if not isinstance(names, list):
    raise errors.DataError(
        "coco-keypoints", where, f"keypoints {errors.printable(names)!r}", "a list of names")
  for i, (mine, theirs) in enumerate(itertools.zip_longest(schema.names, names)):
    if mine != theirs:
      there = f"is {errors.printable(theirs)!r}" if i < len(names) else "is missing"
      raise errors.DataError(
          "coco-keypoints", where, f"keypoint {i + 1} of {len(names)} {there}",
          f"{mine!r}, of {schema.count} in schema {schema.name!r}" if i < schema.count else
          f"the {schema.count} of schema {schema.name!r}",
          "Name the schema of these points with --keypoints.")


def _check_skeleton(skeleton: Any, schema: keypoint_schema.KeypointSchema, where: str) -> None:
  """Holds pairs that count from 1 against the schema's, in any order."""
  pairs = skeleton if isinstance(skeleton, list) else [skeleton]
  for pair in pairs:
    if not isinstance(pair, list) or len(pair) != 2 or not all(map(files.is_whole, pair)):
      raise errors.DataError(
          "coco-keypoints", where, f"skeleton with {errors.printable(pair)!r}",
          "pairs of whole numbers from 1")
  theirs = {tuple(sorted(pair)) for pair in pairs}
  mine = {tuple(sorted((a + 1, b + 1))) for a, b in schema.skeleton}
  if mine != theirs:
    first = min(mine ^ theirs)
    verb = "joins" if first in theirs else "does not join"
    raise errors.DataError(
        "coco-keypoints", where, f"its skeleton {verb} keypoints {first[0]} and {first[1]}",
        f"the {len(mine)} joins of schema {schema.name!r}",
        "Name the schema of these points with --keypoints, or leave the skeleton out.")


def points(entry: dict[str, Any], count: int, where: str) -> np.ndarray:
  """Keypoints of an annotation.

  Args:
    entry: of the annotation; where `keypoints` is missing or empty, none is labelled.
    count: of the schema.
    where: for the text of errors.

  Returns:
    float64 `[count, 3]`: y and x in pixels with pixel centres at +0.5, and visibility.

  Raises:
    errors.DataError: not three finite numbers a point, a visibility that is not 0, 1 or 2, or
      `num_keypoints` is not the number of labelled points.
  """
  flat = entry.get("keypoints")
  flat = [0] * (3 * count) if flat in (None, []) else flat
  if not isinstance(flat, list) or len(flat) != 3 * count:
    found = f"{len(flat)} numbers" if isinstance(flat, list) else errors.printable(repr(flat))
    raise errors.DataError(
        "coco-keypoints", where, f"keypoints: {found}", f"{3 * count}: x, y, v of {count} points")
  for i, value in enumerate(flat):
    if not files.is_pixels(value) or (i % 3 == 2 and value not in (0, 1, 2)):
      raise errors.DataError(
          "coco-keypoints", where, f"{'xyv'[i % 3]} of keypoint {i // 3 + 1} is "
          f"{errors.printable(repr(value))}", "0, 1 or 2" if i % 3 == 2 else "a finite number")
  x, y, visibility = np.array(flat, np.float64).reshape(count, 3).T
  labelled = int((visibility > 0).sum())
  stated = entry.get("num_keypoints", labelled)
  if stated != labelled:
    raise errors.DataError(
        "coco-keypoints", where, f"num_keypoints {errors.printable(stated)}",
        f"{labelled}, the points with v above 0",
        "COCO's evaluation passes over people for whom it is 0.")
  return np.stack([y + _CENTRE, x + _CENTRE, visibility], -1)
