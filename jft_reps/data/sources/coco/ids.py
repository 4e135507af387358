"""Lists of image ids, such as minival*: one per line, of pictures to keep or to leave out."""

from __future__ import annotations

import os
from collections.abc import Collection

from jft_reps import errors


def read(path: str | os.PathLike) -> dict[int, int]:
  """Line number by image id.

  Empty lines and lines that start with `#` are passed over.

  Raises:
    errors.DataError: no such file, no id at all, a line that is no whole number, or an id given
      twice; names file and line.
  """
  path = os.fspath(path)
  try:
    with open(path, encoding="utf-8-sig") as file:
      lines = file.read().split("\n")
  except (OSError, UnicodeDecodeError) as error:
    raise errors.DataError(
        "bad-id-list", path, errors.printable(error), "a text file, one image id per line"
    ) from None
  found: dict[int, int] = {}
  for number, line in enumerate(map(str.strip, lines), 1):
    if not line or line.startswith("#"):
      continue
    where = f"{path}:{number}"
    if not line.isascii() or not line.isdigit() or len(line) > 18:
      raise errors.DataError(
          "bad-id-list", where, f"{errors.printable(line)!r}", "an image id, a whole number")
    if int(line) in found:
      raise errors.DataError(
          "bad-id-list", where, f"id {int(line)}, which is on line {found[int(line)]} already",
          "each id once")
    found[int(line)] = number
  if not found:
    raise errors.DataError("bad-id-list", path, "no id", "one image id per line")
  return found


def chosen(
    images: Collection[int],
    keep: str | os.PathLike | None,
    leave_out: str | os.PathLike | None,
) -> set[int]:
  """The images that a list of ids keeps and another does not leave out.

  Args:
    images: ids in the annotation files.
    keep: list of those to keep, or None for all.
    leave_out: list of those to leave out. It may name others too, as the same list serves several
      annotation files.

  Raises:
    errors.DataError: a list is bad, one to keep is missing, nothing is left out or nothing left.
  """
  kept = set(images)
  if keep is not None:
    ids = read(keep)
    missing = sorted(ids.keys() - kept)
    if missing:
      raise errors.DataError(
          "unknown-image", f"{os.fspath(keep)}:{ids[missing[0]]}",
          f"{len(missing)} of {len(ids)} ids are no image, the first is {missing[0]}",
          "ids of the annotation files", "Is it the list of another split or year?")
    kept &= ids.keys()
  if leave_out is not None:
    ids = read(leave_out)
    if not kept & ids.keys():
      raise errors.DataError(
          "unknown-image", leave_out, f"none of {len(ids)} ids is an image",
          "ids of the annotation files", "Is it the list of another split or year?")
    kept -= ids.keys()
    if not kept:
      raise errors.DataError("unknown-image", leave_out, "no image is left", "at least one")
  return kept
