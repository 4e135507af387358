"""Tencent ML-Images (Wu et al. 2019) by its lists: a URL or path, then class and confidence.

The lists and the hierarchy of the classes are what is handed out; pictures are those that a user
has. A row need not hold the ancestors of its classes, whatever its authors' description says:
65 of the 100 example rows lack some, so label expansion adds them.
"""

from __future__ import annotations

import collections
import functools
import os
from collections.abc import Iterator, Sequence
from urllib import parse

from jft_reps import errors
from jft_reps.data.sources import raw
from jft_reps.data.sources.opened import Opened, about_source, required

_FORM = "URL-or-path<TAB>class:confidence<TAB>…"
_LONGEST_LINE = 1 << 20


def read(
    folder: str | os.PathLike, lists: Sequence[str | os.PathLike], labels: Sequence[str],
    counts: collections.Counter | None = None,
) -> Iterator[raw.Source]:
  """Reads `train_urls.txt`, `train_im_list.txt` or lists of their form, lazily.

  A picture is looked for in the folder under the path as it is written, under the last part of
  the URL, and under the last two joined by `_`, as the authors' download program names it. The
  one that is there gives the path and the id. Where none is, the row is counted and passed over:
  many of these URLs are gone.

  Args:
    folder: of the pictures.
    lists: files.
    labels: ids of the classes; those in the lists are places in it. The hierarchy's, in its order.
    counts: `rows` and `missing_pictures` are added to it.

  Yields:
    One source per line, labels with their confidences; those of confidence 0 are left out.

  Raises:
    errors.DataError: names file and line.
  """
  folder, counts = os.fspath(folder), collections.Counter() if counts is None else counts
  counts.clear()
  if not os.path.isdir(folder):
    raise errors.DataError("missing-folder", folder, "no such folder", "pictures of ML-Images")
  for path in [os.fspath(path) for path in lists]:
    try:
      with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), 1):
          where = f"{path}:{number}"
          if len(line) == _LONGEST_LINE:
            raise errors.DataError("long-line", where, f"more than {len(line)} letters", _FORM)
          if not line.strip():
            continue
          source = _source(line.rstrip("\n").split("\t"), folder, labels, where)
          counts["rows"] += 1
          counts["missing_pictures"] += source is None
          if source is not None:
            yield source
    except OSError as error:
      raise errors.DataError(
          "unreadable-file", path, errors.printable(error.strerror), _FORM) from None
    except UnicodeDecodeError as error:
      raise errors.DataError(
          "bad-encoding", path, f"byte {error.start}: not UTF-8", _FORM) from None


def _source(cells: list[str], folder: str, labels: Sequence[str], where: str) -> raw.Source | None:
  """The picture of a row, or None where it is not there."""
  graded: dict[str, float] = {}
  for cell in cells[1:]:
    label, confidence = _graded(cell, labels, where)
    if confidence:
      graded[label] = max(confidence, graded.get(label, 0.0))
  name = _file(cells[0].strip(), folder, where)
  if name is None:
    return None
  path = raw.inside(folder, name, where)
  return raw.Source(name, path, tuple(graded), tuple(graded.values()), where)


def _graded(cell: str, labels: Sequence[str], where: str) -> tuple[str, float]:
  """(label, confidence) of `class:confidence` or `class`."""
  index, colon, confidence = cell.strip().partition(":")
  try:
    number = float(confidence) if colon else 1.0
  except ValueError:
    number = -1.0
  if not 0.0 <= number <= 1.0:
    raise errors.DataError("bad-confidence", where, f"{errors.printable(cell, 60)!r}", _FORM)
  if not index.isascii() or not index.isdigit() or len(index) > 9 or int(index) >= len(labels):
    raise errors.DataError(
        "unknown-label", where, f"class {errors.printable(index, 60)!r}",
        f"a whole number below {len(labels)}, the number of classes",
        "Is it the hierarchy of these lists?")
  return labels[int(index)], number


def _file(text: str, folder: str, where: str) -> str | None:
  """Name below the folder of what a list calls a picture; None where it is not there."""
  url = parse.urlsplit(text) if "://" in text else None
  parts = [part for part in (text if url is None else url.path).split("/") if part]
  if not parts or "\0" in text or len(text) > 4096:
    raise errors.DataError("bad-path", where, f"picture {errors.printable(text)!r}", _FORM)
  names = []
  if url is None:
    raw.inside(folder, text, where)
    names = [text]
  names += [parts[-1], "_".join(parts[-2:])]
  there = (name for name in names if os.path.isfile(os.path.join(folder, name)))
  return next(there, None)


def open_lists(
    input: str, annotations: str | None = None, labels: Sequence[str] | None = None
) -> Opened:
  """Pictures in a folder, with the lists of ML-Images."""
  labels = checked_classes(labels)
  lists = required(annotations, "lists of ML-Images, as train_urls.txt")
  counts: collections.Counter = collections.Counter()
  return Opened(functools.partial(read, input, lists, labels, counts), labels,
                about_source("mlimages", source_counts=counts))


def checked_classes(labels: Sequence[str] | None) -> Sequence[str]:
  """Those that the numbers of ML-Images stand for.

  Raises:
    errors.ConfigError: none were given.
  """
  if labels is None:
    raise errors.ConfigError(
        "flags", "--hierarchy", "missing", "the classes that the numbers stand for",
        "Give --hierarchy=dictionary_and_semantic_hierarchy.txt --hierarchy_format=mlimages.")
  return labels
