"""JSON files in COCO's format, of which nothing is believed yet."""

from __future__ import annotations

import collections
import functools
import json
from collections.abc import Iterator
from typing import Any, TypeGuard

from jft_reps import errors
from jft_reps.data.sources.coco import outlines as coco_outlines

LARGEST = 1e9  # pixels; also keeps whole numbers of any length out of arithmetic


def _unique_keys(pairs: list[tuple[str, Any]], outlines: bool) -> dict[str, Any]:
  """A JSON object with its outline packed, or without: it is most of the file."""
  found = dict(pairs)
  if len(found) != len(pairs):
    twice = next(k for k, n in collections.Counter(k for k, _ in pairs).items() if n > 1)
    raise ValueError(f"key {errors.printable(twice)!r} is given twice in one object")
  outline = found.pop("segmentation", None)
  if outlines and outline is not None:
    found["segmentation"] = coco_outlines.packed(outline)
  return found


def load(path: str, outlines: bool) -> dict[str, Any]:
  """Reads an annotation file.

  Args:
    path: of the file.
    outlines: keep `segmentation`, as `coco_outlines.packed` gives it.

  Raises:
    errors.DataError: no whole JSON file, a key given twice, or a list of detections.
  """
  try:
    with open(path, encoding="utf-8-sig") as file:
      hook = functools.partial(_unique_keys, outlines=outlines)
      content = json.load(file, object_pairs_hook=hook)
  except (OSError, ValueError, RecursionError) as error:
    raise errors.DataError(
        "coco-json", path, errors.printable(error), "a whole JSON file in COCO's format",
        "Was it cut while it was copied?") from None
  if not isinstance(content, dict):
    raise errors.DataError(
        "coco-json", path, f"a {type(content).__name__}", "an object with images and categories",
        "A list of detections is no annotation file.")
  return content


def _entries(content: dict[str, Any], key: str, path: str) -> list[Any]:
  entries = content.get(key)
  if not isinstance(entries, list):
    found = f"no {key}" if entries is None else f"{key} is a {type(entries).__name__}"
    raise errors.DataError("coco-json", path, found, f"a list under {key!r}")
  return entries


def is_whole(value: Any) -> TypeGuard[int]:
  """Whether it is a whole number of 64 bits; false of true and false."""
  return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_pixels(value: Any) -> TypeGuard[float]:
  """Whether it is a finite number of a size that pixels can have; false of text."""
  return isinstance(value, (int, float)) and value is not True and value is not False and (
      -LARGEST < value < LARGEST)


def identified(
    content: dict[str, Any], key: str, kind: str, path: str,
    repeats: collections.Counter | None = None,
) -> Iterator[tuple[int, dict[str, Any], str]]:
  """(id, entry, text for errors) of every entry of a list; ids are whole and unique.

  Args:
    content: of `load`.
    key: of the list.
    kind: what an entry is, for errors.
    path: of the file, for errors.
    repeats: entries that say again what the first of their id says are passed over and counted
      here, as `repeated_` and `key`; None: they are errors too.

  Raises:
    errors.DataError: no such list, an id that is missing or there twice.
  """
  seen: dict[int, Any] = {}
  for position, entry in enumerate(_entries(content, key, path)):
    there = entry.get("id") if isinstance(entry, dict) else None
    if not is_whole(there):
      found = f"id {errors.printable(there)!r}" if isinstance(entry, dict) else "no object"
      raise errors.DataError(
          f"coco-{kind}", f"{path} {key}[{position}]", found, "an object with a whole number as id")
    where = f"{path} {kind} {there}"
    if there in seen:
      if repeats is not None and entry == seen[there]:
        repeats[f"repeated_{key}"] += 1
        continue
      raise errors.DataError(
          f"coco-{kind}", where, f"the id is given twice, again in {key}[{position}]", "unique ids")
    seen[there] = entry
    yield there, entry, where
