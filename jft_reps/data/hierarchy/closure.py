"""The transitive closure of a label hierarchy: counted exactly, and laid out as CSR arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SWEEP_BITS = 1 << 30  # ancestor bits kept at once, 128 MiB


def ancestor_counts(parents: Sequence[Sequence[int]], order: Sequence[int]) -> list[int]:
  """Number of proper ancestors of every node, without listing them.

  In a forest a node has one ancestor more than its parent. Where parents meet, ancestors are sets
  that overlap: they are unions of bit sets, in sweeps over as many ancestors as memory allows, so
  that 100,000 nodes take seconds and every count is exact.

  Args:
    parents: for each node the indices of its parents.
    order: all nodes, parents before children.
  """
  counts = [0] * len(parents)
  if all(len(above) < 2 for above in parents):
    for node in order:
      for parent in parents[node]:
        counts[node] = counts[parent] + 1
    return counts
  width = max(64, _SWEEP_BITS // len(parents))
  for low in range(0, len(parents), width):
    sets = [0] * len(parents)  # of those of `order[low:low + width]` above a node, and itself
    for place, node in enumerate(order[low:]):  # nodes ahead have none of them above
      for parent in parents[node]:
        sets[node] |= sets[parent]
      counts[node] += sets[node].bit_count()
      if place < width:
        sets[node] |= 1 << place
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
