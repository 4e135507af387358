"""The files below a folder: readers of folders walk them here, and pass over nothing in silence.

A linked or unreadable folder is an error, as all that lies in it would be missing without a word;
files of other kinds are counted by their ending.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from typing import NoReturn

from jft_reps import errors


def walk(root: str | os.PathLike[str], endings: tuple[str, ...],
         counts: MutableMapping[str, int] | None = None) -> Iterator[str]:
  """Paths relative to a folder of the files with these endings, in sorted order, folder by folder.

  Args:
    root: the folder.
    endings: in small letters, with their dots; a file's may be in capitals.
    counts: takes how many other files there are, `webp files passed over` or `hidden files passed
      over`.

  Raises:
    errors.DataError: no such folder; one that is a link, or that cannot be read.
  """
  root = os.fspath(root)
  if not os.path.isdir(root):
    raise errors.DataError("missing-folder", errors.printable(root), "no such folder", "a folder")
  for directory, folders, files in os.walk(root, onerror=_unreadable):
    folders[:] = sorted(name for name in folders if not name.startswith("."))
    for name in folders:
      refuse_link(os.path.join(directory, name))
    for name in sorted(files):
      if not name.startswith(".") and name.lower().endswith(endings):
        yield os.path.relpath(os.path.join(directory, name), root).replace(os.sep, "/")
      elif counts is not None:
        kind = _kind(name)
        counts[kind] = counts.get(kind, 0) + 1


def refuse_link(folder: str) -> None:
  """Raises DataError if a folder is a link: a walk would not go in.

  Raises:
    errors.DataError: it is.
  """
  if os.path.islink(folder):
    raise errors.DataError(
        "linked-folder", errors.printable(folder),
        f"a link to {errors.printable(os.path.realpath(folder), 200)}", "a folder",
        "Copy what it points to, or give that folder as an input of its own.")


def _unreadable(error: OSError) -> NoReturn:
  raise errors.DataError("unreadable-folder", errors.printable(error.filename),
                         errors.printable(error.strerror), "a folder that may be read") from None


def _kind(name: str) -> str:
  if name.startswith("."):
    return "hidden files passed over"
  ending = os.path.splitext(name)[1].lower()
  return (f"{errors.printable(ending, 12)} files passed over" if ending else
          "files without an ending passed over")
