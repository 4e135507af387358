"""The nested JSON hierarchies of Open Images, in both published forms."""

from __future__ import annotations

import collections
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from jft_reps.data.hierarchy.checks import Edge, Node
from jft_reps.data.hierarchy.text import read_text
from jft_reps.errors import DataError, printable

_DEEPEST = 300  # brackets; the published files have 12, the json module follows about 900
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:\n]')


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
  lines = _scan(where, text)
  try:
    tree = json.loads(text)
  except ValueError as error:
    line = getattr(error, "lineno", 1)
    raise DataError(
        "bad-json", f"{where}:{line}", printable(error), "one JSON document") from None
  except RecursionError:
    raise _too_deep(where, 1) from None
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
          "bad-node", where, f"below {printable(repr(parent), 60)}: {printable(item, 60)}",
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


def _scan(where: str, text: str) -> dict[str, collections.deque[int]]:
  """Lines of all ids in order; refuses deep nesting and repeated keys, which `json` hides."""
  lines: dict[str, collections.deque[int]] = collections.defaultdict(collections.deque)
  open_keys: list[set[str]] = []
  string = key = None
  for token, line in _tokens(text):
    if token[0] == '"':
      string = _unquote(token)
      if key in ("name", "LabelName"):
        lines[string].append(line)
      key = None
    elif token == ":" and string is not None and open_keys:
      key = string
      if key in open_keys[-1]:
        raise DataError(
            "duplicate-key", f"{where}:{line}", f"key '{printable(key, 60)}' twice in one object",
            "each key once", "Merge the two.")
      open_keys[-1].add(key)
    elif token in "[{":
      key = None
      open_keys.append(set())
      if len(open_keys) > _DEEPEST:
        raise _too_deep(where, line)
    elif token in "]}" and open_keys:
      open_keys.pop()
  return lines


def _tokens(text: str) -> Iterator[tuple[str, int]]:
  line = 1
  for match in _TOKEN.finditer(text):
    token = match.group()
    if token == "\n":
      line += 1
    else:
      yield token, line


def _unquote(token: str) -> str:
  try:
    return json.loads(token) if "\\" in token else token[1:-1]
  except ValueError:
    return token  # `json` will say what is wrong with it


def _too_deep(where: str, line: int) -> DataError:
  return DataError(
      "nested-too-deep", f"{where}:{line}", f"nested too deep, over {_DEEPEST} brackets",
      "a tree of labels", "Write it as an edge list, which has no such limit.")
