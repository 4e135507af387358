"""Pictures of a folder tree `label/…/picture.jpg`: the first sub-folder names the label."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

from jft_reps import errors

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png")


@dataclasses.dataclass(frozen=True)
class Source:
  """One picture before it is a record.

  Attributes:
    picture_id: unique name.
    path: of the file.
    labels: names, not yet indices.
    confidences: one per label, in [0, 1].
    where: for the text of errors.
  """

  picture_id: str
  path: str
  labels: tuple[str, ...]
  confidences: tuple[float, ...]
  where: str


def inside(root: str, name: str, where: str) -> str:
  """Path of `name` under `root`; refuses one that leaves it, by `..`, links or a root slash."""
  path = os.path.realpath(os.path.join(root, name))
  base = os.path.realpath(root)
  if os.path.commonpath([base, path]) != base:
    found = f"path {errors.printable(name)!r} leaves the folder"
    raise errors.DataError("path-outside", where, found, f"a file under {root}")
  return path


def read(root: str | os.PathLike) -> Iterator[Source]:
  """Walks the tree in sorted order.

  Args:
    root: folder whose sub-folders are labels; deeper folders belong to the first one.

  Yields:
    One source per JPEG or PNG file, its id the path relative to `root`. Other and hidden
    files are passed over.

  Raises:
    errors.DataError: no such folder, or a picture that lies in no sub-folder.
  """
  root = os.fspath(root)
  if not os.path.isdir(root):
    raise errors.DataError("missing-folder", root, "no such folder", "label/picture.jpg below it")
  for directory, folders, files in os.walk(root):
    folders[:] = sorted(f for f in folders if not f.startswith("."))
    for file in sorted(files):
      if file.startswith(".") or not file.lower().endswith(SUFFIXES):
        continue
      path = os.path.join(directory, file)
      name = os.path.relpath(path, root).replace(os.sep, "/")
      label, slash, _ = name.partition("/")
      if not slash:
        raise errors.DataError(
            "no-label", path, "a picture outside of every sub-folder", "label/picture.jpg",
            "Move it into a folder named after its label, or use a CSV list.",
        )
      yield Source(name, inside(root, name, path), (label,), (1.0,), path)
