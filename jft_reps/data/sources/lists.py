"""Pictures of a CSV or TSV list: `path,label[:confidence],label[:confidence]…` per line."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator

from jft_reps import errors
from jft_reps.data.sources import raw

_HEADERS = ("path", "file", "filename", "file_name", "image", "image_path", "picture")


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
  return name, confidence


def read(path: str | os.PathLike, root: str | os.PathLike | None = None) -> Iterator[raw.Source]:
  """Reads a list lazily.

  Columns are separated by tabs where the name ends in `.tsv`, else by commas; several labels
  of one column by spaces or `|`. A first line that starts with `path`, `file` or `image` is
  a header. Empty lines and lines that start with `#` are left out.

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
      rows = csv.reader(file, delimiter=delimiter, strict=True)
      first = True
      for row in rows:
        where = f"{path}:{rows.line_num}"
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
          continue
        header, first = first and cells[0].lower() in _HEADERS, False
        if not header:
          yield _source(cells, root, where)
  except FileNotFoundError:
    raise errors.DataError("missing-file", path, "no such file", "a CSV or TSV list") from None
  except UnicodeDecodeError as error:
    raise errors.DataError("bad-encoding", path, f"byte {error.start}: not UTF-8") from None
  except csv.Error as error:
    where = f"{path}:{rows.line_num}"
    raise errors.DataError("bad-csv", where, errors.printable(error), "a CSV line") from None


def _source(cells: list[str], root: str, where: str) -> raw.Source:
  name = cells[0]
  if not name or "\0" in name:
    found = f"path {errors.printable(name)!r}"
    raise errors.DataError("bad-path", where, found, "path,label[:confidence],…")
  picture = raw.inside(root, name, where)
  words = [w for cell in cells[1:] for w in cell.replace("|", " ").split()]
  pairs = dict(_label(word, where) for word in words)
  return raw.Source(name, picture, tuple(pairs), tuple(pairs.values()), where)
