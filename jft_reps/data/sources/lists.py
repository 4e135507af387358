"""Pictures of a CSV or TSV list: `path,label[:confidence],label[:confidence]…` per line."""

from __future__ import annotations

import csv
import functools
import os
import re
from collections.abc import Collection, Iterator, MutableMapping, Sequence
from typing import TextIO

from jft_reps import errors
from jft_reps.data.sources import raw
from jft_reps.data.sources.opened import Opened, about_source

_HEADERS = frozenset((
    "path", "file", "filename", "filepath", "image", "imageid", "imagename", "imagepath",
    "imageurl", "picture", "pictureid", "photo", "photoid", "id", "url", "uri"))
_FORM = "path,label[:confidence],…"
_LONGEST_LINE = 1 << 20


# Columns of other people's lists that are no labels.
_NO_LABELS = frozenset((
    "width", "height", "split", "fold", "xmin", "ymin", "xmax", "ymax", "x1", "y1", "x2", "y2",
    "area", "md5", "sha256", "size", "bytes", "imagewidth", "imageheight"))
_FLAGS = frozenset(("0", "1", "-1", "0.0", "1.0", "-1.0", ""))  # of one column per class


def _label(text: str, where: str, known: Collection[str]) -> tuple[str, float]:
  """(`id`, confidence) of `id` or `id:confidence`; a colon before no number belongs to the id."""
  name, colon, number = text.rpartition(":")
  if not colon or text in known:
    return text, 1.0
  if re.fullmatch(r"\d{2,}", number):  # `HP:0000001` is the id of an ontology
    raise errors.DataError(
        "bad-confidence", where, f"label {errors.printable(text)!r}", "label:confidence, such as "
        "cat:0.9", f"If the colon belongs to the label, write {errors.printable(text)}:1, or give "
        "the labels.")
  try:
    confidence = float(number)
  except ValueError:
    return text, 1.0
  if not 0.0 <= confidence <= 1.0 or not name:
    found = f"label {errors.printable(text)!r}"
    raise errors.DataError("bad-confidence", where, found, "label:confidence within 0 and 1")
  return name.rstrip(), confidence


def read(path: str | os.PathLike, root: str | os.PathLike | None = None,
         known: Collection[str] = (), counts: MutableMapping[str, int] | None = None
         ) -> Iterator[raw.Source]:
  """Reads a list lazily.

  Columns are separated by tabs where the name ends in `.tsv`, else by commas; several labels
  of one column by `|`; other than that the text of a label stays whole. A label of confidence 0
  is verified as absent and left out, as every label that is not there counts as negative; one
  that is given twice has its highest confidence. A first line that starts with `path`, `file`,
  `image`, `ImageID`, `url` or the like is a header. Empty lines are left out, and those that start
  with `#` unless there is such a file.

  Args:
    path: the list.
    root: folder of the pictures; by default that of the list.
    known: labels, where they are known: a colon in one of them is no confidence.
    counts: takes how many comments were left out.

  Yields:
    One source per line; its id is the path as written, relative to `root`.

  Raises:
    errors.DataError: names file and line.
  """
  path = os.fspath(path)
  root = os.fspath(root) if root is not None else os.path.dirname(path) or "."
  if counts is not None:
    counts.clear()  # of an earlier pass
  delimiter = "\t" if path.lower().endswith(".tsv") else ","
  try:
    with open(path, encoding="utf-8-sig", newline="") as file:
      rows = csv.reader(_lines(file, path), delimiter=delimiter, strict=True, skipinitialspace=True)
      first = True
      for row in rows:
        where = f"{path}:{rows.line_num}"
        cells = [cell.strip() for cell in row]
        if not any(cells):
          continue
        if cells[0].startswith("#") and not os.path.isfile(os.path.join(root, cells[0])):
          if counts is not None:
            counts["comment lines"] = counts.get("comment lines", 0) + 1
          continue
        header, first = first and _is_header(cells, root, where), False
        if not header:
          _check_flags(cells, where)
          yield _source(cells, root, where, known)
  except FileNotFoundError:
    raise errors.DataError("missing-file", path, "no such file", "a CSV or TSV list") from None
  except UnicodeDecodeError as error:
    raise errors.DataError("bad-encoding", path, f"byte {error.start}: not UTF-8") from None
  except csv.Error as error:
    where = f"{path}:{rows.line_num}"
    raise errors.DataError("bad-csv", where, errors.printable(error), "a CSV line") from None


def _lines(file: TextIO, path: str) -> Iterator[str]:
  """Lines of a file, none of which is held whole where it is no line of a list."""
  for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), 1):
    if len(line) == _LONGEST_LINE:
      raise errors.DataError("long-line", f"{path}:{number}", f"more than {_LONGEST_LINE} letters",
                             _FORM, "Is it a list of pictures?")
    yield line


def _is_header(cells: list[str], root: str, where: str) -> bool:
  """Whether a first line names columns; one that may do either is an error, never a picture."""
  name = cells[0]
  if re.sub(r"[\s_-]", "", name.lower()) in _HEADERS:
    others = [c for c in cells[1:] if "confidence" in c.lower() or
              re.sub(r"[\s_-]", "", c.lower()) in _NO_LABELS]
    if others:
      raise errors.DataError(
          "list-columns", where, f"a column {errors.printable(others[0])!r}", _FORM,
          "Every column after the first is labels: take others out, and write a confidence as "
          "label:0.5.")
    return True
  file_like = not name or "\0" in name or os.path.splitext(name)[1]
  if not file_like and not os.path.isfile(raw.inside(root, name, where)):
    raise errors.DataError(
        "list-header", where, f"{errors.printable(name)!r} is neither a picture nor a header",
        f"{_FORM}, or a header that starts with path, file, image, id or url")
  return False


def _check_flags(cells: list[str], where: str) -> None:
  """Refuses lines of one column per class, whose 0 and 1 would become classes."""
  if len(cells) > 2 and set(cells[1:]) <= _FLAGS:
    raise errors.DataError(
        "list-columns", where, f"labels {errors.printable(', '.join(cells[1:]), 60)}", _FORM,
        "A column per class with 0 and 1 is another form: write the labels that a picture has. "
        "If 0 and 1 are labels, write them as 0|1.")


def _source(cells: list[str], root: str, where: str, known: Collection[str]) -> raw.Source:
  name = cells[0]
  if not name or "\0" in name:
    raise errors.DataError("bad-path", where, f"path {errors.printable(name)!r}", _FORM)
  picture = raw.inside(root, name, where)
  graded: dict[str, float] = {}
  for text in (part.strip() for cell in cells[1:] for part in cell.split("|")):
    label, confidence = _label(text, where, known)
    if text and confidence:
      graded[label] = max(confidence, graded.get(label, 0.0))
  return raw.Source(name, picture, tuple(graded), tuple(graded.values()), where)


def open_list(
    input: str, root: str | None = None, labels: Sequence[str] | None = None
) -> Opened:
  """A CSV or TSV list of pictures; `root`: their folder, by default that of the list."""
  counts: dict[str, int] = {}
  return Opened(functools.partial(read, input, root, frozenset(labels or ()), counts), labels,
                about_source("csv", source_counts=counts))
