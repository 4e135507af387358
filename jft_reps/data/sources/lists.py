"""Pictures of a CSV or TSV list: `path,label[:confidence],label[:confidence]…` per line."""

from __future__ import annotations

import csv
import functools
import os
import re
from collections.abc import Iterator, Sequence
from typing import TextIO

from jft_reps import errors
from jft_reps.data.sources import raw
from jft_reps.data.sources.opened import Opened, about_source

_HEADERS = frozenset((
    "path", "file", "filename", "filepath", "image", "imageid", "imagename", "imagepath",
    "imageurl", "picture", "pictureid", "photo", "photoid", "id", "url", "uri"))
_FORM = "path,label[:confidence],…"
_LONGEST_LINE = 1 << 20


def _label(text: str, where: str) -> tuple[str, float]:
  """(`id`, confidence) of `id` or `id:confidence`; a colon before no number belongs to the id."""
  name, colon, number = text.rpartition(":")
  if not colon:
    return text, 1.0
  try:
    confidence = float(number)
  except ValueError:
    return text, 1.0
  if not 0.0 <= confidence <= 1.0 or not name:
    found = f"label {errors.printable(text)!r}"
    raise errors.DataError("bad-confidence", where, found, "label:confidence within 0 and 1")
  return name.rstrip(), confidence


def read(path: str | os.PathLike, root: str | os.PathLike | None = None) -> Iterator[raw.Source]:
  """Reads a list lazily.

  Columns are separated by tabs where the name ends in `.tsv`, else by commas; several labels
  of one column by `|`; other than that the text of a label stays whole. A label of confidence 0
  is verified as absent and left out, as every label that is not there counts as negative; one
  that is given twice has its highest confidence. A first line that starts with `path`, `file`,
  `image`, `ImageID`, `url` or the like is a header. Empty lines and lines that start with `#`
  are left out.

  Args:
    path: the list.
    root: folder of the pictures; by default that of the list.

  Yields:
    One source per line; its id is the path as written, relative to `root`.

  Raises:
    errors.DataError: names file and line.
  """
  path = os.fspath(path)
  root = os.fspath(root) if root is not None else os.path.dirname(path) or "."
  delimiter = "\t" if path.lower().endswith(".tsv") else ","
  try:
    with open(path, encoding="utf-8-sig", newline="") as file:
      rows = csv.reader(_lines(file, path), delimiter=delimiter, strict=True)
      first = True
      for row in rows:
        where = f"{path}:{rows.line_num}"
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
          continue
        header, first = first and _is_header(cells, root, where), False
        if not header:
          yield _source(cells, root, where)
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
    graded = [c for c in cells[1:] if "confidence" in c.lower()]
    if graded:
      raise errors.DataError(
          "list-columns", where, f"a column {errors.printable(graded[0])!r}", _FORM,
          "Every column after the first is labels; write a confidence as label:0.5.")
    return True
  file_like = not name or "\0" in name or os.path.splitext(name)[1]
  if not file_like and not os.path.isfile(raw.inside(root, name, where)):
    raise errors.DataError(
        "list-header", where, f"{errors.printable(name)!r} is neither a picture nor a header",
        f"{_FORM}, or a header that starts with path, file, image, id or url")
  return False


def _source(cells: list[str], root: str, where: str) -> raw.Source:
  name = cells[0]
  if not name or "\0" in name:
    raise errors.DataError("bad-path", where, f"path {errors.printable(name)!r}", _FORM)
  picture = raw.inside(root, name, where)
  graded: dict[str, float] = {}
  for text in (part.strip() for cell in cells[1:] for part in cell.split("|")):
    label, confidence = _label(text, where)
    if text and confidence:
      graded[label] = max(confidence, graded.get(label, 0.0))
  return raw.Source(name, picture, tuple(graded), tuple(graded.values()), where)


def open_list(
    input: str, root: str | None = None, labels: Sequence[str] | None = None
) -> Opened:
  """A CSV or TSV list of pictures; `root`: their folder, by default that of the list."""
  return Opened(functools.partial(read, input, root), labels, about_source("csv"))
