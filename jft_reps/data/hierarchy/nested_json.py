"""The nested JSON hierarchies of Open Images, in both published forms."""

from __future__ import annotations

import collections
import json
import os
import re
import reprlib
from typing import Any

from jft_reps.data.hierarchy.checks import Edge, Node
from jft_reps.data.hierarchy.text import read_text
from jft_reps.errors import DataError, printable

_LABEL = re.compile(r'"(?:LabelName|name)"\s*:\s*("[^"\\\n]*(?:\\.[^"\\\n]*)*")')


class _RepeatedKey(ValueError):
  """A key and the object that has it twice."""


def read_nested(path: str | os.PathLike, parts: bool) -> tuple[list[Node], list[Edge], bool]:
  """Nodes and edges in the order of the document.

  Either `{"LabelName": id, "Subcategory": [...], "Part": [...]}` (bbox_labels_600_hierarchy.json)
  or `{"name": name, "children": [...]}` (bbox_hierarchy.json), where the name serves as id. A
  node at several places has several parents. A list of such trees has several roots.

  Args:
    path: the file.
    parts: whether what is listed as `Part` is below its whole; a picture of a wheel need not
      show a car, so usually not. These are nodes of the hierarchy in either case.

  Returns:
    Nodes, edges, and whether ids are display names.

  Raises:
    DataError: not JSON, nested too deep, a key twice in one object, a node without its id.
  """
  where, text = printable(path), read_text(path)
  lines = _lines(text)
  try:
    tree = json.loads(text, object_pairs_hook=_object)
  except _RepeatedKey as error:
    raise _repeated(where, lines, *error.args) from None
  except ValueError as error:
    line = getattr(error, "lineno", 1)
    raise DataError(
        "bad-json", f"{where}:{line}", printable(error), "one JSON document") from None
  except RecursionError:
    raise DataError(
        "nested-too-deep", f"{where}:1", "nested too deep for a JSON reader", "a tree of labels",
        "Write it as an edge list, which has no such limit.") from None
  roots = tree if isinstance(tree, list) else [tree]
  by_name = not any(isinstance(r, dict) and "LabelName" in r for r in roots)
  key = "name" if by_name else "LabelName"
  below = {"children": True} if by_name else {"Subcategory": True, "Part": parts}
  nodes: dict[str, Node] = {}
  edges = []
  stack: list[tuple[Any, str | None]] = [(r, None) for r in reversed(roots)]
  while stack:
    item, parent = stack.pop()
    if not isinstance(item, dict) or not isinstance(item.get(key), str):
      raise DataError(
          "bad-node", where, f"below {printable(repr(parent), 60)}: {reprlib.repr(item)}",
          f'an object with a text "{key}"')
    label = item[key].strip()
    line = lines[item[key]].popleft() if lines[item[key]] else 0
    nodes.setdefault(label, Node(label, "", line))
    if parent is not None:
      edges.append(Edge(label, parent, line))
    for children, is_edge in reversed(below.items()):
      found = item.get(children, [])
      if not isinstance(found, list):
        raise DataError(
            "bad-node", f"{where}:{line}", f'"{children}" of \'{printable(label, 60)}\' is no list',
            "a list of nodes")
      stack.extend((child, label if is_edge else None) for child in reversed(found))
  return list(nodes.values()), edges, by_name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """An object of JSON, of whose repeated keys `json` keeps the last and says nothing."""
  found = dict(pairs)
  if len(found) != len(pairs):
    counts = collections.Counter(key for key, _ in pairs)
    raise _RepeatedKey(next(key for key, count in counts.items() if count > 1), found)
  return found


def _repeated(
    where: str, lines: dict[str, collections.deque[int]], key: str, found: dict[str, Any]
) -> DataError:
  label = found.get("LabelName", found.get("name"))
  known = lines[label] if isinstance(label, str) else None
  of = f", that of '{printable(label, 60)}'" if known else ""
  return DataError(
      "duplicate-key", f"{where}:{known[0]}" if known else where,
      f"key '{printable(key, 60)}' twice in one object{of}", "each key once", "Merge the two.")


def _lines(text: str) -> dict[str, collections.deque[int]]:
  """Lines of all ids in order of the document."""
  lines: dict[str, collections.deque[int]] = collections.defaultdict(collections.deque)
  line, seen = 1, 0
  for match in _LABEL.finditer(text):
    line, seen = line + text.count("\n", seen, match.start(1)), match.start(1)
    try:
      lines[json.loads(match[1])].append(line)
    except ValueError:
      pass  # `json` will say what is wrong with it
  return lines
