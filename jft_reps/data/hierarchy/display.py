"""A hierarchy as lines of text: a tree, or pairs of a node and its ancestors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.errors import printable


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
