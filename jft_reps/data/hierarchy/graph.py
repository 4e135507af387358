"""Label hierarchies: any directed acyclic graph of labels, with their ids and names.

Labels of a fine class imply those of every coarser one ("apple" is also "fruit"; Sun et al.
2017, section 4.1). A hierarchy may have several roots, nodes with several parents and nodes that
share a display name; parents may be listed after their children.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence

import numpy as np

from jft_reps import whole_files
from jft_reps.data.hierarchy import closure
from jft_reps.data.hierarchy.checks import Edge, Node, examine
from jft_reps.errors import DataError, printable

__all__ = ["Edge", "Hierarchy", "Node"]

MAX_PAIRS = 50_000_000


class Hierarchy:
  """An immutable label hierarchy. A class index is the position in `ids`.

  Depth counts edges on the longest path from a root; a root has depth 0. Ancestors and
  descendants are proper: a node is not its own. Nothing here recurses, and no cost grows
  with the number of paths.
  """

  def __init__(
      self,
      nodes: Sequence[Node | str],
      edges: Iterable[Edge | tuple[str, str]] = (),
      source: object = "hierarchy",
  ):
    """Checks and indexes a hierarchy.

    Args:
      nodes: in class order; a plain string is an id without a name.
      edges: `(child, parent)`; an edge stated again counts once.
      source: the file they come from, for messages.

    Raises:
      DataError: no node, an id that is empty or appears twice, an edge from or to a node that
        is missing, a node that is its own parent, a cycle. It names at most five nodes.
    """
    listed = [Node(n) if isinstance(n, str) else n for n in nodes]
    stated = [e if isinstance(e, Edge) else Edge(*e) for e in edges]
    graph = examine(listed, stated, printable(source))
    if graph.findings:
      raise graph.findings[0]
    self._source = printable(source)
    self._ids = tuple(n.id for n in listed)
    self._names = tuple(n.name or n.id for n in listed)
    self._index, self._parents, self._children = graph.index, graph.parents, graph.children
    self._order, self._repeated = tuple(graph.order), graph.repeated
    depths = [0] * len(nodes)
    for node in graph.order:
      if self._parents[node]:
        depths[node] = 1 + max(depths[p] for p in self._parents[node])
    self._depths = tuple(depths)
    self._counts: tuple[int, ...] | None = None
    self._closure: tuple[np.ndarray, np.ndarray] | None = None

  def __len__(self) -> int:
    return len(self._ids)

  def __contains__(self, identifier: object) -> bool:
    return identifier in self._index

  def __repr__(self) -> str:
    return f"<Hierarchy of {len(self)} nodes from {self._source}>"

  @property
  def ids(self) -> tuple[str, ...]:
    """Ids in class order."""
    return self._ids

  @property
  def names(self) -> tuple[str, ...]:
    """Names to display, in class order; the id where there is none."""
    return self._names

  @property
  def roots(self) -> tuple[str, ...]:
    """Ids without a parent, in class order."""
    return tuple(i for i, parents in zip(self._ids, self._parents) if not parents)

  @property
  def leaves(self) -> tuple[str, ...]:
    """Ids without a child, in class order."""
    return tuple(i for i, children in zip(self._ids, self._children) if not children)

  @property
  def repeated_edges(self) -> int:
    """How many edges were stated again, and counted once."""
    return self._repeated

  def index(self, identifier: str) -> int:
    """Class index of an id. Raises DataError for an unknown one."""
    try:
      return self._index[identifier]
    except KeyError:
      raise DataError(
          "unknown-label", self._source, f"no node '{printable(identifier, 60)}'",
          f"one of its {len(self)} ids, such as '{printable(self._ids[0], 60)}'") from None

  def name(self, identifier: str) -> str:
    """The name to display."""
    return self._names[self.index(identifier)]

  def parents(self, identifier: str) -> tuple[str, ...]:
    """Ids of the parents, in class order."""
    return self._of(self._parents[self.index(identifier)])

  def children(self, identifier: str) -> tuple[str, ...]:
    """Ids of the children, in class order."""
    return self._of(self._children[self.index(identifier)])

  def ancestors(self, identifier: str) -> tuple[str, ...]:
    """Ids of all nodes above this one, in class order, each once."""
    start = self.index(identifier)
    return self._of(sorted(_reachable([start], self._parents) - {start}))

  def descendants(self, identifier: str) -> tuple[str, ...]:
    """Ids of all nodes below this one, in class order, each once."""
    start = self.index(identifier)
    return self._of(sorted(_reachable([start], self._children) - {start}))

  def depth(self, identifier: str) -> int:
    """Edges on the longest path from a root to this node."""
    return self._depths[self.index(identifier)]

  def fan_out(self, identifier: str) -> int:
    """Number of children."""
    return len(self._children[self.index(identifier)])

  def expand(self, identifiers: Iterable[str]) -> tuple[str, ...]:
    """These ids and all of their ancestors, in class order, each once."""
    return self._of(sorted(_reachable([self.index(i) for i in identifiers], self._parents)))

  def stats(self) -> dict[str, int]:
    """Counts of the hierarchy.

    `edges` counts each once; `multi_parent` are nodes with more than one parent; `max_depth`
    is the longest path in edges; `closure_pairs` are the pairs of a node and one of its
    proper ancestors.
    """
    return {
        "nodes": len(self),
        "edges": sum(map(len, self._parents)),
        "roots": len(self.roots),
        "leaves": len(self.leaves),
        "multi_parent": sum(len(p) > 1 for p in self._parents),
        "max_fan_out": max(map(len, self._children)),
        "max_depth": max(self._depths),
        "closure_pairs": sum(self._ancestor_counts()),
    }

  def closure(self, max_pairs: int = MAX_PAIRS) -> tuple[np.ndarray, np.ndarray]:
    """Ancestors of every class as CSR arrays, computed once.

    Args:
      max_pairs: the most (node, proper ancestor) pairs to lay out.

    Returns:
      `row_splits` int64 `[classes + 1]` and `values` int32: `values[row_splits[c]:row_splits[c
      + 1]]` are class `c` and then the indices of its ancestors. Both read-only.

    Raises:
      DataError: there are more pairs; raised before memory is taken.
    """
    self.check_pairs(max_pairs)
    if self._closure is None:
      self._closure = closure.csr(self._parents, self._order, self._ancestor_counts())
      for array in self._closure:
        array.setflags(write=False)
    return self._closure

  def check_pairs(self, max_pairs: int = MAX_PAIRS) -> None:
    """Raises DataError if there are more (node, proper ancestor) pairs than `max_pairs`."""
    pairs = sum(self._ancestor_counts())
    if pairs > max_pairs:
      raise DataError(
          "closure-too-large", self._source, f"{pairs:,} pairs of node and ancestor",
          f"at most {max_pairs:,}", "Is this chain of labels meant? If so, raise max_pairs.")

  def write(self, path: str | os.PathLike) -> None:
    """Writes a CSV edge list that `hierarchy_readers.read(path, "edges")` reads back.

    Columns child, parent, name: first one line per node in class order, with an empty parent,
    then one per edge. The file appears whole or not at all.

    Raises:
      StorageError: the file cannot be written.
    """
    with whole_files.replacing(path) as out:
      table = csv.writer(out, lineterminator="\n")
      table.writerow(("child", "parent", "name"))
      table.writerows(
          (i, "", "" if name == i else name) for i, name in zip(self._ids, self._names))
      for i, parents in zip(self._ids, self._parents):
        table.writerows((i, parent, "") for parent in self._of(parents))

  def _of(self, indices: Iterable[int]) -> tuple[str, ...]:
    return tuple(self._ids[i] for i in indices)

  def _ancestor_counts(self) -> tuple[int, ...]:
    if self._counts is None:
      self._counts = tuple(closure.ancestor_counts(self._parents, self._order))
    return self._counts


def _reachable(starts: Iterable[int], neighbours: Sequence[Sequence[int]]) -> set[int]:
  found = set(starts)
  stack = list(found)
  while stack:
    for node in neighbours[stack.pop()]:
      if node not in found:
        found.add(node)
        stack.append(node)
  return found
