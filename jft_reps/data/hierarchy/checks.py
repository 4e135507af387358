"""What can be wrong with a label hierarchy, found in linear time and without recursion."""

from __future__ import annotations

import dataclasses
import graphlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jft_reps.errors import DataError, printable

_NAMED = 5  # nodes an error names at most
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, half characters


class Node(NamedTuple):
  """A label: its id, the name to display (the id if empty), the line it stands in (0: none)."""

  id: str
  name: str = ""
  line: int = 0


class Edge(NamedTuple):
  """`child` is a kind of `parent`, as stated in `line` (0: none)."""

  child: str
  parent: str
  line: int = 0


@dataclasses.dataclass(frozen=True)
class Graph:
  """Nodes by class index. With findings it is not a hierarchy and only good for messages.

  Attributes:
    index: id to class index.
    parents: for each class the indices of its parents, ascending, each once.
    children: for each class the indices of its children, ascending.
    order: class indices, every parent before its children; empty where there is a cycle.
    repeated: how many edges stated again what was stated before.
    findings: one error for each kind of problem, of a cycle the first that is found.
  """

  index: dict[str, int]
  parents: tuple[tuple[int, ...], ...]
  children: tuple[tuple[int, ...], ...]
  order: list[int]
  repeated: int
  findings: list[DataError]


def examine(nodes: Sequence[Node], edges: Sequence[Edge], source: str) -> Graph:
  """Indexes a graph and lists all that is wrong with it.

  Args:
    nodes: in class order.
    edges: in any order; parents may come after their children.
    source: the file, for messages.
  """
  index: dict[str, int] = {}
  for node in nodes:
    index.setdefault(node.id, len(index))
  findings = [] if nodes else [DataError(
      "empty-hierarchy", source, "no nodes", "at least one label")]
  findings += _bad_ids(nodes, source) + _duplicates(nodes, source)
  findings += _unknown(index, edges, source) + _self_parents(edges, source)
  lines: dict[tuple[int, int], int] = {}
  repeated = 0
  for child, parent, line in edges:
    pair = (index.get(child, -1), index.get(parent, -1))
    if pair in lines:
      repeated += 1
    elif -1 not in pair and child != parent:
      lines[pair] = line
  parents: list[list[int]] = [[] for _ in index]
  children: list[list[int]] = [[] for _ in index]
  for below, above in sorted(lines):
    parents[below].append(above)
    children[above].append(below)
  order, cycle = _ordered(parents)
  if cycle:
    findings.append(_cycle_error(cycle, list(index), lines, source))
  return Graph(
      index, tuple(map(tuple, parents)), tuple(map(tuple, children)), order, repeated, findings)


def _ordered(parents: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
  """Every node after its parents; or none, and a cycle: child, its parent, …, the least first."""
  try:
    return list(graphlib.TopologicalSorter(dict(enumerate(parents))).static_order()), []
  except graphlib.CycleError as error:
    cycle = error.args[1][:0:-1]  # listed from parent to child, and the first node again at the end
    first = cycle.index(min(cycle))
    return [], cycle[first:] + cycle[:first]


def _cycle_error(
    cycle: list[int], ids: list[str], lines: dict[tuple[int, int], int], source: str) -> DataError:
  steps = []
  for child, parent in list(zip(cycle, cycle[1:] + cycle[:1]))[:_NAMED]:
    line = lines[child, parent]
    steps.append(_quote(ids[child]) + _lines(line))
  end = _quote(ids[cycle[0]]) if len(cycle) <= _NAMED else f"… ({len(cycle)} nodes)"
  where = _place(source, lines[cycle[0], (cycle[1:] + cycle[:1])[0]])
  return DataError(
      "cycle", where, f"cycle {' -> '.join([*steps, end])}", "a graph without cycles, child -> "
      "parent", "Remove one of these edges.")


def _bad_ids(nodes: Sequence[Node], source: str) -> list[DataError]:
  bad = [(n.id, n.line) for n in nodes if not n.id or _UNFIT.search(n.id + n.name)]
  return _finding(
      "bad-id", source, "empty id, or control character in id or name:", bad, "printable ids", "")


def _duplicates(nodes: Sequence[Node], source: str) -> list[DataError]:
  first: dict[str, Node] = {}
  bad = [(n.id, f"{first[n.id].line} and {n.line}" if n.line else "")
         for n in nodes if first.setdefault(n.id, n) is not n]
  return _finding(
      "duplicate-id", source, "duplicate id", bad, "each node once", "Remove or rename one.")


def _unknown(index: dict[str, int], edges: Sequence[Edge], source: str) -> list[DataError]:
  found = []
  ends: tuple[tuple[str, Callable[[Edge], str]], ...] = (
      ("missing-parent", lambda edge: edge.parent), ("missing-child", lambda edge: edge.child))
  for slug, end in ends:
    bad: dict[str, int] = {}
    for edge in edges:
      if end(edge) not in index:
        bad.setdefault(end(edge), edge.line)
    found += _finding(
        slug, source, f"{slug.replace('-', ' ')}", list(bad.items()),
        "every end of an edge to be a node of the hierarchy", "Add the node or correct its id.")
  return found


def _self_parents(edges: Sequence[Edge], source: str) -> list[DataError]:
  bad = {e.child: e.line for e in edges if e.child == e.parent}
  return _finding(
      "self-parent", source, "cycle, node is its own parent:", list(bad.items()),
      "another parent or none", "Remove the edge.")


def _finding(
    slug: str, source: str, what: str, bad: Sequence[tuple[str, object]], expected: str, fix: str
) -> list[DataError]:
  if not bad:
    return []
  named = [_quote(i) + _lines(at) for i, at in bad[:_NAMED]]
  if len(bad) > _NAMED:
    named.append(f"… ({len(bad)} in all)")
  line = str(bad[0][1]).rpartition(" ")[2]
  return [DataError(slug, _place(source, line), f"{what} {', '.join(named)}", expected, fix)]


def _place(source: str, line: object) -> str:
  return f"{source}:{line}" if line not in (0, "0", "") else source


def _lines(at: object) -> str:
  return f" (line{'s' if 'and' in str(at) else ''} {at})" if at else ""


def _quote(identifier: str) -> str:
  return f"'{printable(identifier, 60)}'"
