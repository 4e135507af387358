"""Pictures of a folder tree `label/…/picture.jpg`: the first sub-folder names the label."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence

from jft_reps import errors
from jft_reps.data.sources import raw
from jft_reps.data.sources.opened import Opened, about_source

# Of pictures that were divided before; as labels, all of them together mean nothing.
_SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png")


def read(root: str | os.PathLike) -> Iterator[raw.Source]:
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
      yield raw.Source(name, raw.inside(root, name, path), (label,), (1.0,), path)


def open_folder(input: str, labels: Sequence[str] | None = None) -> Opened:
  """A folder tree `label/…/picture.jpg`.

  Raises:
    errors.DataError: its folders are called as splits are: their names would become labels.
  """
  folders = sorted(entry.name for entry in os.scandir(input) if entry.is_dir() and (
      not entry.name.startswith("."))) if os.path.isdir(input) else []
  if len(folders) > 1 and {name.lower() for name in folders} <= _SPLITS:
    raise errors.DataError(
        "folders-of-splits", errors.printable(input), f"folders {', '.join(folders)}",
        "a folder per label", f"Build each for itself: --input={errors.printable(input)}/"
        f"{folders[0]} --split={folders[0]}, and so on.")
  return Opened(functools.partial(read, input), labels, about_source("folder"))
