"""Readers of label hierarchies: edge lists, ML-Images, Open Images, WordNet's `is_a`.

| format | file |
|---|---|
| `edges` | two columns, child and parent, and a third with the child's name if stated |
| `mlimages` | `dictionary_and_semantic_hierarchy.txt` of Tencent ML-Images (Wu et al. 2019) |
| `openimages` | nested JSON of Open Images, with `LabelName` or with `name` |
| `is_a` | `wordnet.is_a.txt` of ImageNet: parent and child on each line |
"""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jft_reps.data.hierarchy.checks import Edge, Node
from jft_reps.data.hierarchy.edges import read_edges
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.hierarchy.nested_json import read_nested
from jft_reps.data.hierarchy.text import read_labels, read_names, read_text, rows, wrong_columns
from jft_reps.errors import ConfigError, DataError, printable

FORMATS = ("edges", "mlimages", "openimages", "is_a")


class Listing(NamedTuple):
  """What a file says, before it is checked as a graph. `notes` are oddities that do no harm."""

  nodes: list[Node]
  edges: list[Edge]
  source: str
  notes: list[str]


def read(path: str | os.PathLike, format: str, **arguments: Any) -> Hierarchy:
  """Reads a label hierarchy.

  Args:
    path: the file; UTF-8, any line ends.
    format: one of `FORMATS`.
    **arguments: of `edge_list`, `mlimages`, `openimages` or `is_a` below, by format.

  Raises:
    ConfigError: an unknown format or argument.
    DataError: the file is not of this form or no hierarchy; names file, line and up to five
      nodes.
  """
  listing = parse(path, format, **arguments)
  return Hierarchy(listing.nodes, listing.edges, listing.source)


def parse(path: str | os.PathLike, format: str, **arguments: Any) -> Listing:
  """Like `read`, but stops before the graph is checked."""
  known_formats: tuple[Callable[..., Listing], ...] = (edge_list, mlimages, openimages, is_a)
  formats = dict(zip(FORMATS, known_formats, strict=True))
  if format not in formats:
    raise ConfigError("unknown-format", "format", printable(format), " or ".join(formats))
  known = list(inspect.signature(formats[format]).parameters)[1:]
  for name in arguments:
    if name not in known:
      raise ConfigError(
          "unknown-argument", name, f"not an argument of format {format}",
          ", ".join(known) or "no argument")
  return formats[format](path, **arguments)


def edge_list(
    path: str | os.PathLike,
    header: bool | None = None,
    order: str | None = None,
    separator: str | None = None,
    roots: str = "auto",
    names: str | os.PathLike | None = None,
    nodes: str | os.PathLike | None = None,
) -> Listing:
  """Child and parent on each line, blank lines aside; classes in order of first appearance.

  A line whose parent is empty declares a node that has no parent, or whose parents follow.

  Args:
    path: the file.
    header: whether the first line is one; None: if it holds the words child and parent.
    order: "child,parent" (default) or "parent,child", with "name" as third column if there is
      one: the child's name. A header with these words says the same.
    separator: "comma" (CSV), "tab" or "space"; None: as the first line has it.
    roots: "declared": a parent that is no child anywhere must have a line with empty parent,
      so that a misspelt one is found; "implied": it need not; "auto": declared if any line is
      such a declaration.
    names: file of `id,name` or `id<TAB>name`.
    nodes: label map, `id` or `id,name` or `id<TAB>name` by line: the classes and their order.
      Edges to other nodes are errors, and nodes without edges are classes as well.
  """
  found, edges = read_edges(path, header, order, separator, roots)
  return _named(Listing(found, edges, printable(path), []), names, nodes)


def is_a(
    path: str | os.PathLike,
    names: str | os.PathLike | None = None,
    nodes: str | os.PathLike | None = None,
) -> Listing:
  """Parent and child on each line, parted by white space, as in ImageNet's `wordnet.is_a.txt`.

  Args:
    path: the file.
    names: file of `id<TAB>name`, such as ImageNet's `words.txt`.
    nodes: label map, as for `edge_list`.
  """
  return edge_list(
      path, header=False, order="parent,child", separator="space", roots="implied", names=names,
      nodes=nodes)


def mlimages(path: str | os.PathLike) -> Listing:
  """Tab-separated index, id, index of the parent (-1: none) and name; with a header or not.

  The class index is the one in the file, so every index from 0 must be there.
  """
  where, text = printable(path), read_text(path).rstrip("\n")
  table: dict[int, tuple[Node, int]] = {}
  expected = "category_index, category_id, index_of_parent_category, category name"
  for number, cells in rows(path, text, "tab"):
    if number == 1 and cells and cells[0].lower() == "category_index":
      continue
    if len(cells) != 4:
      raise wrong_columns(path, number, cells, expected)
    try:
      index, parent = int(cells[0]), int(cells[2])
    except ValueError:
      raise DataError(
          "bad-index", f"{where}:{number}",
          f"{printable(cells[0], 30)!r} and {printable(cells[2], 30)!r}",
          "whole numbers as index and parent") from None
    if index in table:
      raise DataError(
          "duplicate-id", f"{where}:{number}",
          f"duplicate index {index} (lines {table[index][0].line} and {number})",
          "each index once")
    table[index] = Node(cells[1], cells[3], number), parent
  for index, (found, (node, _)) in enumerate(sorted(table.items())):
    if index != found:
      raise DataError(
          "missing-index", f"{where}:{node.line}", f"no line for index {min(index, found)}"
          if found > index else f"index {found}", f"every index from 0 to {len(table) - 1}",
          "Restore the missing line; indices are the classes of the records.")
  nodes = [node for _, (node, _) in sorted(table.items())]
  edges = [
      Edge(node.id, table[parent][0].id if parent in table else f"index {parent}", node.line)
      for node, parent in table.values() if parent != -1]
  return Listing(nodes, edges, where, [])


def openimages(
    path: str | os.PathLike,
    names: str | os.PathLike | None = None,
    nodes: str | os.PathLike | None = None,
    parts: bool = False,
) -> Listing:
  """Nested JSON with `LabelName`, `Subcategory`, `Part`, or with `name` and `children`.

  Args:
    path: the file.
    names: `class-descriptions.csv`, lines of `id,name`. With the second form, which has no
      ids, a display name that exactly one id bears (in any case) gives way to this id.
    nodes: label map, as for `edge_list`.
    parts: whether a part is below its whole.
  """
  found, edges, by_name = read_nested(path, parts)
  listing = Listing(found, edges, printable(path), [])
  if by_name and names is not None:
    listing = _with_ids(listing, names)
  return _named(listing, names, nodes)


def _named(
    listing: Listing, names: str | os.PathLike | None, nodes: str | os.PathLike | None) -> Listing:
  """The listing with the names of one file, and the classes of another, if given."""
  found: Sequence[Node] = listing.nodes
  if nodes is not None:
    known = {n.id: n.name for n in found}
    found = [n._replace(name=n.name or known.get(n.id, "")) for n in read_labels(nodes)]
  if names is None:
    return listing._replace(nodes=list(found))
  by_id = read_names(names)
  named = [n._replace(name=by_id.get(n.id) or n.name) for n in found]
  missing = sum(n.id not in by_id for n in found)
  if found and missing == len(found):
    raise DataError(
        "names-mismatch", printable(names), f"none of the {len(found)} ids of {listing.source}",
        "lines of id,name for these ids")
  notes = [f"{missing} nodes are not in {printable(names)}"] if missing else []
  return listing._replace(nodes=named, notes=listing.notes + notes)


def _with_ids(listing: Listing, names: str | os.PathLike) -> Listing:
  """Display names replaced by ids where that is unambiguous."""
  by_id = read_names(names)
  bearers = Counter(name.lower() for name in by_id.values())
  bearers.update(Counter(n.id.lower() for n in listing.nodes))
  ids = {name.lower(): i for i, name in by_id.items() if bearers[name.lower()] == 2}

  def rename(label: str) -> str:
    return ids.get(label.lower(), label)

  nodes = [Node(rename(n.id), n.id, n.line) for n in listing.nodes]
  edges = [Edge(rename(e.child), rename(e.parent), e.line) for e in listing.edges]
  return listing._replace(nodes=nodes, edges=edges)
