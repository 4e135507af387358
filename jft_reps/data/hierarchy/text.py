"""Text files that describe labels: decoded strictly, line ends and byte order mark normalised."""

from __future__ import annotations

import csv
import io
import os
import pathlib
from collections.abc import Iterator

from jft_reps.data.hierarchy.checks import Node, examine
from jft_reps.errors import DataError, printable

SEPARATORS = ("comma", "tab", "space")


def read_text(path: str | os.PathLike) -> str:
  r"""The text of a UTF-8 file, lines ended by `\n`.

  Raises:
    DataError: no such file, not UTF-8, a NUL byte; with the line where there is one.
  """
  try:
    data = pathlib.Path(path).read_bytes()
  except OSError as error:
    raise DataError(
        "unreadable-file", printable(path), printable(error.strerror), "a text file") from None
  try:
    text = data.decode("utf-8-sig")
  except UnicodeDecodeError as error:
    line = data.count(b"\n", 0, error.start) + 1
    raise DataError(
        "not-utf8", f"{printable(path)}:{line}", f"byte {data[error.start]:#04x} is not UTF-8",
        "UTF-8 text", "Save the file as UTF-8.") from None
  if "\0" in text:
    line = text.count("\n", 0, text.index("\0")) + 1
    raise DataError("nul-byte", f"{printable(path)}:{line}", "a NUL byte", "plain text")
  return text.replace("\r\n", "\n").replace("\r", "\n")


def rows(path: str | os.PathLike, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
  """Line number and stripped cells of every line; a blank line has no cells.

  Args:
    path: for messages.
    text: from `read_text`.
    separator: "comma" (CSV with quotes), "tab" (no quotes) or "space" (runs of white space).

  Raises:
    DataError: quotes of a CSV that do not fit.
  """
  if separator != "comma":
    for number, line in enumerate(text.split("\n"), 1):
      cells = line.split("\t") if separator == "tab" else line.split()
      yield number, [c.strip() for c in cells] if line.strip() else []
    return
  table = csv.reader(io.StringIO(text), strict=True, skipinitialspace=True)
  number = 1
  try:
    for cells in table:
      yield number, [c.strip() for c in cells] if any(c.strip() for c in cells) else []
      number = table.line_num + 1
  except csv.Error as error:
    raise DataError(
        "bad-csv", f"{printable(path)}:{number}", printable(error), "comma-separated values",
        "Quote fields that hold commas or quotes.") from None


def guess_separator(text: str) -> str:
  """That of the first line with text: a tab, else a comma, else white space."""
  line = text.lstrip("\n").partition("\n")[0]
  return "tab" if "\t" in line else "comma" if "," in line else "space"


def read_names(path: str | os.PathLike) -> dict[str, str]:
  """Names by id from lines `id,name` or `id<TAB>name`, such as `class-descriptions.csv`.

  Raises:
    DataError: other than two columns, or an id that appears twice.
  """
  nodes = read_labels(path, blank_lines=True)
  return {node.id: node.name for node in nodes}


def read_labels(path: str | os.PathLike, blank_lines: bool = False) -> list[Node]:
  """A label map: one id per line in class order, with a name as second column or none.

  Args:
    path: comma- or tab-separated.
    blank_lines: whether lines may be blank; where order is the class index they may not, but
      at the end.

  Raises:
    DataError: a blank line before the end, more than two columns, an id that appears twice.
  """
  where, text = printable(path), read_text(path).rstrip("\n")
  separator = "tab" if guess_separator(text) == "tab" else "comma"
  nodes = []
  for number, cells in rows(path, text, separator):
    if not cells and blank_lines:
      continue
    if not cells:
      raise DataError(
          "blank-line", f"{where}:{number}", "a blank line, which would shift the classes after it",
          "one label per line", "Remove the line or name the label.")
    if len(cells) > 2:
      raise wrong_columns(where, number, cells, "id, name")
    nodes.append(Node(cells[0], cells[1] if len(cells) == 2 else "", number))
  for finding in examine(nodes, [], where).findings[:1]:
    raise finding
  return nodes


def wrong_columns(path: object, line: int, cells: list[str], expected: str) -> DataError:
  """The error for a line with too few or too many columns."""
  found = ", ".join(repr(printable(c, 30)) for c in cells[:5]) + (", …" if len(cells) > 5 else "")
  return DataError(
      "wrong-columns", f"{printable(path)}:{line}", f"{len(cells)} columns ({found})",
      f"{expected.count(',') + 1} columns: {expected}")
