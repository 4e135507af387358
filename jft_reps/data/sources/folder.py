"""Pictures of a folder tree `label/…/picture.jpg`: the first sub-folder names the label."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, MutableMapping, Sequence

from absl import logging

from jft_reps import errors
from jft_reps.data.sources import file_tree, raw
from jft_reps.data.sources.opened import Opened, about_source

# Of pictures that were divided before; as labels, all of them together mean nothing.
_SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png")


def read(root: str | os.PathLike[str], counts: MutableMapping[str, int] | None = None
         ) -> Iterator[raw.Source]:
  """Walks the tree in sorted order.

  Args:
    root: folder whose sub-folders are labels; deeper folders belong to the first one.
    counts: takes how many other and hidden files were passed over.

  Yields:
    One source per JPEG or PNG file, its id the path relative to `root`.

  Raises:
    errors.DataError: no such folder, a linked or unreadable one, or a picture that lies in no
      sub-folder. Sub-folders without any picture are warned of.
  """
  root = os.fspath(root)
  if not os.path.isdir(root):
    raise errors.DataError("missing-folder", root, "no such folder", "label/picture.jpg below it")
  if counts is not None:
    counts.clear()  # of an earlier pass
  labels: set[str] = set()
  for name in file_tree.walk(root, SUFFIXES, counts):
    label, slash, _ = name.partition("/")
    path = os.path.join(root, name)
    if not slash:
      raise errors.DataError(
          "no-label", path, "a picture outside of every sub-folder", "label/picture.jpg",
          "Move it into a folder named after its label, or use a CSV list.",
      )
    labels.add(label)
    yield raw.Source(name, raw.inside(root, name, path), (label,), (1.0,), path)
  empty = [name for name in _folders(root) if name not in labels]
  if empty:
    shown = ", ".join(errors.printable(name, 40) for name in empty[:5])
    logging.warning("%s: %d sub-folders have no picture that ends in %s, so their labels are lost: "
                    "%s", errors.printable(root), len(empty), ", ".join(SUFFIXES), shown)


def _folders(root: str | os.PathLike[str]) -> list[str]:
  """Sub-folders by name, without hidden ones."""
  return sorted(entry.name for entry in os.scandir(os.fspath(root))
                if entry.is_dir() and not entry.name.startswith("."))


def open_folder(input: str, labels: Sequence[str] | None = None) -> Opened:
  """A folder tree `label/…/picture.jpg`.

  Raises:
    errors.DataError: its folders are called as splits are: their names would become labels.
  """
  folders = _folders(input) if os.path.isdir(input) else []
  if len(folders) > 1 and {name.lower() for name in folders} <= _SPLITS:
    raise errors.DataError(
        "folders-of-splits", errors.printable(input), f"folders {', '.join(folders)}",
        "a folder per label", f"Build each for itself: --input={errors.printable(input)}/"
        f"{folders[0]} --split={folders[0]}, and so on.")
  counts: dict[str, int] = {}
  return Opened(functools.partial(read, input, counts), labels,
                about_source("folder", source_counts=counts))
