"""All pairs of 64-bit hashes that differ in at most seven bits, exactly, among millions.

Two such hashes agree up to one bit in one of four parts of 16 bits (multi-index hashing: Norouzi,
Punjani and Fleet, CVPR 2012). So each query looks into 4 · 17 buckets of 2^-16 of the hashes each:
a thousand of a million.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

RADIUS = 7  # the most that one bit in one of four parts can promise
_PARTS = 4
_KEYS = 1 << 16
_MASKS = np.array([0, *(1 << b for b in range(16))], np.uint16)
_QUERIES = 4096  # looked up at a time
_CANDIDATES = 2_000_000  # compared at a time


class Pairs(NamedTuple):
  """Hashes that agree.

  Attributes:
    queries: int64 indices into the queries.
    items: int64 indices into the hashes searched.
    distances: uint8 bits in which they differ.
  """

  queries: np.ndarray
  items: np.ndarray
  distances: np.ndarray


class HashIndex:
  """Distinct hashes to search in; 48 bytes each.

  Args:
    hashes: uint64 `[n]`, without repetition, which would give every pair again.
  """

  def __init__(self, hashes: np.ndarray):
    self._parts = []
    for part in range(_PARTS):
      keys = _part(hashes, part)
      order = np.argsort(keys, kind="stable").astype(np.uint32)
      starts = np.searchsorted(keys[order], np.arange(_KEYS + 1))
      self._parts.append((hashes[order], order, starts))

  def search(self, queries: np.ndarray, radius: int = RADIUS, threads: int = 1
             ) -> Iterator[Pairs]:
    """The pairs, block by block in the order of the queries; memory is that of a few blocks.

    Args:
      queries: uint64 `[m]`.
      radius: bits that may differ, at most `RADIUS`.
      threads: that compare; the result is the same.

    Raises:
      ValueError: a greater radius, which would miss pairs.
    """
    if radius > RADIUS:
      raise ValueError(f"radius {radius} is more than {RADIUS}")
    starts = range(0, len(queries), _QUERIES)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
      ahead = [pool.submit(self._block, queries, s, radius) for s in starts[:2 * threads]]
      for number in range(len(starts)):
        found = ahead.pop(0).result()
        if number + 2 * threads < len(starts):
          ahead.append(pool.submit(self._block, queries, starts[number + 2 * threads], radius))
        yield found

  def _block(self, queries: np.ndarray, start: int, radius: int) -> Pairs:
    block = queries[start:start + _QUERIES]
    found = [pairs for part in range(_PARTS) for pairs in self._lookup(block, part, radius)]
    query, item, distance = (np.concatenate(column) for column in zip(*found))
    # A pair that agrees in several parts was met in each of them.
    _, first = np.unique(query.astype(np.int64) << 32 | item, return_index=True)
    return Pairs(query[first].astype(np.int64) + start, item[first].astype(np.int64),
                 distance[first])

  def _lookup(self, block: np.ndarray, part: int, radius: int
              ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs by one part, of buckets that hold a bounded number of candidates at a time."""
    hashes, order, bounds = self._parts[part]
    keys = (_part(block, part)[:, None] ^ _MASKS).ravel()
    first, last = bounds[keys], bounds[keys.astype(np.int64) + 1]
    total = np.cumsum(last - first)
    cuts = np.searchsorted(total, np.arange(_CANDIDATES, total[-1], _CANDIDATES))
    for low, high in zip([0, *cuts], [*cuts, len(keys)]):
      for start, stop in _slices(int((last[low:high] - first[low:high]).sum())):
        yield self._compare(block, hashes, order, first[low:high], last[low:high],
                            low, start, stop, radius)

  def _compare(self, block, hashes, order, first, last, low, start, stop, radius):
    """Pairs among candidates `start` to `stop` of some buckets, counted through."""
    ends = np.cumsum(last - first)
    shift = first - (ends - (last - first))
    taken = np.clip(ends, start, stop)
    counts = np.diff(taken, prepend=start)
    at = np.arange(start, stop) + np.repeat(shift, counts)
    bucket = np.repeat(np.arange(low, low + len(first)) // len(_MASKS), counts)
    distance = _bit_count(hashes[at] ^ block[bucket])
    near = np.flatnonzero(distance <= radius)
    return bucket[near], order[at[near]], distance[near]


def _bit_count(words: np.ndarray) -> np.ndarray:
  """Set bits of uint64 words; NumPy before 2.0 has no such function."""
  if hasattr(np, "bitwise_count"):
    return np.bitwise_count(words)
  return np.unpackbits(words[:, None].view(np.uint8), axis=1).sum(1, dtype=np.uint8)


def _slices(total: int) -> Iterator[tuple[int, int]]:
  return ((s, min(s + _CANDIDATES, total)) for s in range(0, max(total, 1), _CANDIDATES))


def _part(hashes: np.ndarray, part: int) -> np.ndarray:
  return (hashes >> np.uint64(16 * part)).astype(np.uint16)
