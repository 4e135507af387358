"""A hierarchy in text: a tree, pairs of a node and its ancestors, what a check of a file says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from jft_reps.data.hierarchy.checks import examine
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.hierarchy.readers import Listing
from jft_reps.errors import DataError, printable

_MANY = 5  # so many times more tops than bottoms, and no hierarchy of labels looks like that


class Checked(NamedTuple):
  """What a file says of a hierarchy, be it one or not.

  Attributes:
    nodes: their number.
    edges: their number, each counted once.
    notes: what does no harm.
    findings: what makes it no hierarchy.
  """

  nodes: int
  edges: int
  notes: list[str]
  findings: list[DataError]


def check(listing: Listing) -> Checked:
  """What is to be said of the lines of a file."""
  graph = examine(listing.nodes, listing.edges, listing.source)
  notes = [*listing.notes]
  if graph.repeated:
    notes.append(f"{graph.repeated} edges stated again, counted once")
  alone = sum(not p and not c for p, c in zip(graph.parents, graph.children))
  if alone and len(graph.parents) > 1:
    notes.append(f"{alone} nodes without parent and child")
  edges = sum(map(len, graph.parents))
  return Checked(len(graph.parents), edges, notes, [*graph.findings, *_doubts(
      listing.source, edges, sum(not p for p in graph.parents) - alone,
      sum(not c for c in graph.children) - alone, len(graph.parents))])


def _doubts(source: str, edges: int, tops: int, bottoms: int, nodes: int) -> Iterator[DataError]:
  """What can be read and cannot be meant."""
  if nodes > 1 and not edges:
    yield DataError("no-edges", printable(source), f"{nodes:,} nodes and no edge", "a hierarchy",
                    "Is the file of this form? See --format.")
  if tops >= _MANY and tops > _MANY * bottoms:
    yield DataError("swapped-columns", printable(source),
                    f"{tops:,} nodes with nothing above them and {bottoms:,} with nothing below",
                    "few at the top and many at the bottom", "Are child and parent swapped? Then "
                    "give --order=parent,child.")


def tree(hierarchy: Hierarchy, node: str | None, depth: int) -> Iterator[str]:
  """Lines of a tree: id, name, number of children; a node met again is not unfolded again."""
  tops = hierarchy.roots if node is None else (node,)
  stack = [(top, 0) for top in reversed(tops)]
  unfolded: set[str] = set()
  while stack:
    label, level = stack.pop()
    name, children = hierarchy.name(label), hierarchy.children(label)
    line = "  " * level + printable(label)
    line += f"  {printable(name)}" if name != label else ""
    if children:
      line += f"  ({len(children)})" + (" see above" if label in unfolded else "")
    yield line
    if level < depth and label not in unfolded:
      unfolded.add(label)
      stack.extend((child, level + 1) for child in reversed(children))


def pairs(hierarchy: Hierarchy, ids: str, max_pairs: int) -> Iterator[str]:
  """Lines `node<TAB>ancestor` in class order, by "id", "index" or "name".

  Raises:
    DataError: there are more than `max_pairs`.
  """
  hierarchy.check_pairs(max_pairs)
  texts: dict[str, Callable[[str], str]] = {
      "id": str, "index": lambda i: str(hierarchy.index(i)),
      "name": lambda i: printable(hierarchy.name(i))}
  text = texts[ids]
  for label in hierarchy.ids:
    start = text(label)
    for ancestor in hierarchy.ancestors(label):
      yield f"{start}\t{text(ancestor)}"
