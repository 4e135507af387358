"""Edge lists of label hierarchies: a child and a parent on each line."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

from jft_reps.data.hierarchy.checks import Edge, Node
from jft_reps.data.hierarchy.text import SEPARATORS, guess_separator, read_text, rows, wrong_columns
from jft_reps.errors import ConfigError, DataError, printable

_COLUMNS = ("child", "parent", "name")
# Words over the columns of other people's edge lists, which nobody calls a class.
_HEADERS = {*_COLUMNS, "id", "label", "label_id", "class_id", "child_id", "parent_id", "childid",
            "parentid", "child_name", "parent_name", "source", "target", "src", "dst", "from", "to",
            "hyponym", "hypernym", "sub", "super", "subclass", "superclass", "node", "node_id",
            "subject", "object", "start", "end", "mid", "wnid"}


def read_edges(
    path: str | os.PathLike, header: bool | None, order: str | None, separator: str | None,
    roots: str,
) -> tuple[list[Node], list[Edge]]:
  """Nodes in order of first appearance, and edges; arguments as `hierarchy_readers.edge_list`.

  Raises:
    ConfigError: an argument has a value it cannot have.
    DataError: a line has other columns, or a child has no id or two names.
  """
  if separator is not None and separator not in SEPARATORS:
    raise ConfigError("bad-argument", "separator", printable(separator), " or ".join(SEPARATORS))
  if roots not in ("auto", "declared", "implied"):
    raise ConfigError("bad-argument", "roots", printable(roots), "auto, declared or implied")
  text = read_text(path)
  filled = ((n, c) for n, c in rows(path, text, separator or guess_separator(text)) if c)
  columns, lines = _columns(path, filled, header, order)
  seen: dict[str, Node] = {}
  children: set[str] = set()
  edges, again = [], []
  for number, cells in lines:
    if len(cells) != len(columns):
      raise wrong_columns(path, number, cells, ", ".join(columns))
    row = dict(zip(columns, cells))
    child, parent = row["child"], row["parent"]
    if not child:
      raise DataError("empty-child", f"{printable(path)}:{number}", "no child", "an id")
    if not parent and child in seen and seen[child].line:
      again.append(Node(child, "", number))
    for label in (row[c] for c in columns if c != "name" and row[c]):
      seen.setdefault(label, Node(label))
    if parent:
      edges.append(Edge(child, parent, number))
    else:
      seen[child] = seen[child]._replace(line=seen[child].line or number)
    children.add(child)
    _add_name(seen, child, row.get("name", ""), path, number)
  strict = roots == "declared" or roots == "auto" and any(n.line for n in seen.values())
  found = [n for n in seen.values() if n.id in children or not strict]
  return found + again, edges


def _columns(
    path: str | os.PathLike, lines: Iterator[tuple[int, list[str]]], header: bool | None,
    order: str | None,
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
  """The columns by name, and the lines below the header."""
  columns = [c.strip() for c in (order or "child,parent").split(",")]
  if not {"child", "parent"} <= set(columns) <= set(_COLUMNS) or len(set(columns)) < len(columns):
    raise ConfigError(
        "bad-argument", "order", printable(order), "child,parent or parent,child (,name)")
  first = next(lines, None)
  if first is None:
    return columns, lines
  words = [c.lower() for c in first[1]]
  stated = {"child", "parent"} <= set(words) <= set(_COLUMNS) and len(set(words)) == len(words)
  if header is None and not stated and set(words) <= _HEADERS and len(set(words)) == len(words) > 1:
    raise DataError(
        "unknown-header", f"{printable(path)}:{first[0]}",
        f"{printable(','.join(first[1]))}, which looks like a header",
        "child,parent (,name)", "Rename the columns, or say whether it is one: "
        "--header with --order=parent,child, or --noheader.")
  if header is False or (header is None and not stated):
    return columns, itertools.chain([first], lines)
  if stated and order and words != columns:
    raise DataError(
        "order", f"{printable(path)}:{first[0]}", f"the header says {','.join(words)}",
        f"{order}, as stated", "Correct the order.")
  return words if stated else columns, lines


def _add_name(
    nodes: dict[str, Node], label: str, name: str, path: str | os.PathLike, line: int) -> None:
  before = nodes[label].name
  if name and before not in ("", name):
    raise DataError(
        "two-names", f"{printable(path)}:{line}",
        f"'{printable(label, 60)}' is named '{printable(name, 60)}' and '{printable(before, 60)}'",
        "one name for each node")
  if name:
    nodes[label] = nodes[label]._replace(name=name)
