"""Pairs of pictures with hashes close to one another, whatever number of pictures share a hash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jft_reps.collection.dedup import hash_search, perceptual_hash

# Of a hash that many pictures share on both sides, these few are paired with all others: those
# of one picture still come together, in time linear in their number.
_STANDING_FOR_ALL = 4
_ALL_PAIRS = 4096
_HELD = 2_000_000


class Candidates(NamedTuple):
  """Pairs of pictures, each once, in the views in which they are closest; arrays of one length.

  Attributes:
    eval_index: int64, ascending.
    train_index: int64, ascending within one evaluation picture.
    distance: bits in which the two hashes differ.
    eval_view: index into `perceptual_hash.VIEWS`.
    train_view: likewise, of an upright one.
    symmetry: of the evaluation picture, index into the policy's symmetries.
  """

  eval_index: np.ndarray
  train_index: np.ndarray
  distance: np.ndarray
  eval_view: np.ndarray
  train_view: np.ndarray
  symmetry: np.ndarray


class Searched:
  """Evaluation pictures in all their views and symmetries, to be looked for again and again.

  Args:
    hashes: uint64 `[n, views]` of the evaluation pictures.
    policy: of `perceptual_hash.POLICIES`.
  """

  def __init__(self, hashes: np.ndarray, policy: str = "quarters"):
    symmetries, self._views, upright = perceptual_hash.POLICIES[policy]
    self._upright = np.array(upright)
    seen = np.ascontiguousarray(hashes[:, :self._views])
    self._all = _Shared(np.stack([s.of_hashes(seen) for s in symmetries], 1))

  def among(self, hashes: np.ndarray, radius: int = hash_search.RADIUS, threads: int = 1
            ) -> Candidates:
    """The pairs with training pictures.

    Time and memory are those of the different hashes and of the pairs.

    Args:
      hashes: uint64 `[m, views]` of the training pictures.
      radius: bits in which two hashes may differ.
      threads: that search.
    """
    items = _Shared(np.ascontiguousarray(hashes[:, self._upright]))
    index, best, held = hash_search.HashIndex(items.values), np.zeros((0, 3), np.int64), []
    widths = self._all.width, items.width
    for pairs in index.search(self._all.values, radius, threads):
      for rows in _entries(pairs, self._all, items):
        held.append(rows)
        if sum(map(len, held)) > _HELD:
          best, held = _closest([best, *held], *widths), []
    distance, entry, item = _closest([best, *held], *widths).T
    symmetry, view = np.divmod(entry % self._all.width, self._views)
    return Candidates(entry // self._all.width, item // items.width, distance, view,
                      self._upright[item % items.width], symmetry)


def equal(mine: np.ndarray, theirs: np.ndarray) -> set[tuple[int, int]]:
  """Pairs of pictures of one digest, uint64 each, 0 of none; bounded as those of one hash are."""
  queries, items = _Shared(mine[:, None]), _Shared(theirs[:, None])
  _, first, second = np.intersect1d(queries.values, items.values, return_indices=True)
  pairs = hash_search.Pairs(first, second, np.zeros(len(first), np.uint8))
  return {(int(q), int(i)) for rows in _entries(pairs, queries, items) for _, q, i in rows}


class _Shared:
  """Different hashes, and which entries have each.

  Args:
    hashes: uint64 `[pictures, …]`.

  Attributes:
    values: sorted, without `NO_HASH`.
    entries: flat positions in `hashes`, those of one value beside each other, in order.
    starts: where those of each value start; one more at the end.
    width: hashes of one picture.
  """

  def __init__(self, hashes: np.ndarray):
    flat = hashes.reshape(-1)
    order = np.argsort(flat, kind="stable")
    self.entries = order[flat[order] != perceptual_hash.NO_HASH]
    self.values, first = np.unique(flat[self.entries], return_index=True)
    self.starts = np.append(first, len(self.entries))
    self.width = int(np.prod(hashes.shape[1:]))

  def of(self, value: int) -> np.ndarray:
    return self.entries[self.starts[value]:self.starts[value + 1]]


def _entries(pairs: hash_search.Pairs, queries: _Shared, items: _Shared) -> Iterator[np.ndarray]:
  """Rows (distance, query entry, item entry) of pairs of different hashes."""
  sizes = np.diff(queries.starts)[pairs.queries], np.diff(items.starts)[pairs.items]
  small = sizes[0] * sizes[1] <= _ALL_PAIRS
  counts = (sizes[0] * sizes[1])[small]
  which = np.repeat(np.flatnonzero(small), counts)
  within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
  row, column = np.divmod(within, sizes[1][which])
  yield np.column_stack([
      pairs.distances[which], queries.entries[queries.starts[pairs.queries[which]] + row],
      items.entries[items.starts[pairs.items[which]] + column]]).astype(np.int64)
  for i in np.flatnonzero(~small):
    mine, theirs = queries.of(pairs.queries[i]), items.of(pairs.items[i])
    for some, others in ((mine[:_STANDING_FOR_ALL], theirs), (mine, theirs[:_STANDING_FOR_ALL])):
      grid = np.stack(np.meshgrid(some, others, indexing="ij"), -1).reshape(-1, 2)
      yield np.column_stack([np.full(len(grid), pairs.distances[i]), grid]).astype(np.int64)


def _closest(parts: Sequence[np.ndarray], query_width: int, item_width: int) -> np.ndarray:
  """Of each pair of pictures the row of least distance, in order of the pairs."""
  rows = np.concatenate(parts)
  pictures = rows[:, 1] // query_width, rows[:, 2] // item_width
  # The last key counts first.
  order = np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0], pictures[1], pictures[0]))
  mine, theirs = (p[order] for p in pictures)
  first = np.ones(len(order), bool)
  first[1:] = (mine[1:] != mine[:-1]) | (theirs[1:] != theirs[:-1])
  return rows[order[first]]
