"""The transitive closure of a label hierarchy: counted exactly, and laid out as CSR arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SWEEP_BITS = 1 << 30  # ancestor bits kept at once, 128 MiB


def ancestor_counts(parents: Sequence[Sequence[int]], order: Sequence[int]) -> list[int]:
  """Number of proper ancestors of every node, without listing them.

  A node with one parent has one ancestor more than this parent, so forests are counted in one
  pass. Where parents meet, ancestors are sets that overlap: they are unions of bit sets, in
  sweeps over as many columns as memory allows. 100,000 nodes with two parents each take
  seconds, and every such count is exact.

  Args:
    parents: for each node the indices of its parents.
    order: all nodes, parents before children.
  """
  counts = [0] * len(parents)
  for node, count in _merged_counts(parents, order).items():
    counts[node] = count
  for node in order:
    if len(parents[node]) == 1:
      counts[node] = counts[parents[node][0]] + 1
  return counts


def csr(
    parents: Sequence[Sequence[int]], order: Sequence[int], counts: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
  """For each node itself, then its ancestors: `(row_splits [nodes + 1] int64, values int32)`."""
  row_splits = np.zeros(len(parents) + 1, np.int64)
  np.cumsum(np.asarray(counts, np.int64) + 1, out=row_splits[1:])
  values = np.empty(row_splits[-1], np.int32)
  splits = row_splits.tolist()
  for node in order:
    start, end = splits[node] + 1, splits[node + 1]
    values[start - 1] = node
    rows = [values[splits[p]:splits[p + 1]] for p in parents[node]]
    if len(rows) == 1:
      values[start:end] = rows[0]
    elif rows:
      values[start:end] = np.unique(np.concatenate(rows))
  return row_splits, values


def _merged_counts(
    parents: Sequence[Sequence[int]], order: Sequence[int]) -> dict[int, int]:
  """Ancestor counts of the nodes with several parents."""
  counts = {node: 0 for node in order if len(parents[node]) > 1}
  above = _with_ancestors(counts, parents)
  rows = [node for node in order if node in above]
  readers: dict[int, int] = {}
  for node in rows:
    for parent in parents[node]:
      readers[parent] = readers.get(parent, 0) + 1
  first_row = [row for row, node in enumerate(rows) if node in readers]
  column = {rows[row]: c for c, row in enumerate(first_row)}
  width = max(64, _SWEEP_BITS // max(1, len(column)))
  for low in range(0, len(column), width):
    # Nodes ahead of the first column have no ancestor among these columns.
    _sweep(parents, rows[first_row[low]:], column, range(low, low + width), readers, counts)
  return counts


def _sweep(
    parents: Sequence[Sequence[int]],
    rows: Sequence[int],
    column: dict[int, int],
    columns: range,
    readers: dict[int, int],
    counts: dict[int, int],
) -> None:
  """Adds to `counts` the ancestors in `columns`; a set is freed after its last reader."""
  sets: dict[int, int] = {}
  unread = {node: readers[node] for node in rows if node in readers}
  for node in rows:
    ancestors = 0
    for parent in parents[node]:
      ancestors |= sets.get(parent, 0)
      if parent in unread:
        unread[parent] -= 1
        if not unread[parent]:
          sets.pop(parent, None)
    if node in counts:
      counts[node] += ancestors.bit_count()
    if node in unread:
      own = column[node]
      sets[node] = ancestors | (1 << own - columns.start if own in columns else 0)


def _with_ancestors(nodes: dict[int, int], parents: Sequence[Sequence[int]]) -> set[int]:
  found = set(nodes)
  stack = list(nodes)
  while stack:
    new = set(parents[stack.pop()]) - found
    found |= new
    stack.extend(new)
  return found
