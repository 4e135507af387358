"""The search finds what comparing all with all finds, in bounded time and memory."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.collection.dedup import candidates, hash_search
from jft_reps.collection.dedup.perceptual_hash import UPRIGHT, VIEWS

WORDS = st.integers(0, (1 << 64) - 1)


def found(queries, items, radius, threads=1):
  blocks = hash_search.HashIndex(items).search(queries, radius, threads)
  return {(q, i): d for b in blocks for q, i, d in zip(*(column.tolist() for column in b))}


def brute(queries, items, radius):
  return {(q, i): d for q, a in enumerate(queries.tolist()) for i, b in enumerate(items.tolist())
          if (d := (a ^ b).bit_count()) <= radius}


@given(st.lists(WORDS, min_size=1, max_size=20, unique=True), st.data(), st.integers(0, 7))
def test_every_pair_within_the_radius_and_no_other(items, data, radius):
  items = np.array(items, np.uint64)
  flips = data.draw(st.lists(st.tuples(st.integers(0, len(items) - 1), st.lists(
      st.integers(0, 63), max_size=9)), min_size=1, max_size=20))
  queries = np.array([int(items[i]) ^ sum({1 << b for b in some}) for i, some in flips], np.uint64)
  assert found(queries, items, radius) == brute(queries, items, radius)


def test_a_greater_radius_is_refused():
  index = hash_search.HashIndex(np.array([1], np.uint64))
  with pytest.raises(ValueError, match="8"):
    next(index.search(np.array([1], np.uint64), 8))


def test_blocks_and_threads_change_nothing(monkeypatch):
  rng = np.random.default_rng(0)
  items = np.unique(rng.integers(0, 1 << 22, 3000, dtype=np.uint64))  # two parts in one bucket
  queries = rng.integers(0, 1 << 22, 300, dtype=np.uint64)
  wanted = brute(queries, items, 4)
  assert len(wanted) > 1000
  assert found(queries, items, 4) == wanted
  monkeypatch.setattr(hash_search, "_QUERIES", 7)
  monkeypatch.setattr(hash_search, "_CANDIDATES", 1000)
  assert found(queries, items, 4, threads=2) == wanted


def test_without_numpys_bit_count(monkeypatch):
  words = np.random.default_rng(1).integers(0, 1 << 63, 100, dtype=np.uint64)
  wanted = [int(w).bit_count() for w in words]
  assert hash_search._bit_count(words).tolist() == wanted
  monkeypatch.delattr(np, "bitwise_count", raising=False)
  assert hash_search._bit_count(words).tolist() == wanted


def hashes(values) -> np.ndarray:
  return np.repeat(np.asarray(values, np.uint64)[:, None], len(VIEWS), 1)


def test_candidates_are_the_closest_views_of_each_pair():
  rng = np.random.default_rng(2)
  mine = rng.integers(1, 1 << 63, (6, len(VIEWS)), dtype=np.uint64)
  theirs = rng.integers(1, 1 << 63, (9, len(VIEWS)), dtype=np.uint64)
  theirs[3, 1], theirs[3, 2] = mine[2, 4] ^ np.uint64(7), mine[2, 0] ^ np.uint64(1)
  theirs[8, 0] = mine[5, 3]
  near = candidates.Searched(mine, "none").among(theirs)
  assert [tuple(row) for row in zip(*(c.tolist() for c in near))] == [
      (2, 3, 1, 0, 2, 0), (5, 8, 0, 3, 0, 0)]
  # Rotated views of the training side are not looked at.
  theirs[:, :len(UPRIGHT)] = 1
  theirs[:, len(UPRIGHT):] = mine[0, 0]
  assert not len(candidates.Searched(mine, "none").among(theirs).distance)


def test_100_000_equal_hashes_on_both_sides():
  equal = hashes(np.full(100_000, 0x123456789ABCDEF))
  tracemalloc.start()
  start = time.thread_time()
  near = candidates.Searched(equal, "none").among(equal)
  seconds, (_, peak) = time.thread_time() - start, tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert len(near.distance) < 20 * 100_000
  assert set(near.eval_index.tolist()) == set(near.train_index.tolist()) == set(range(100_000))
  assert seconds < 60 and peak < 1 << 30


def test_pictures_without_a_hash_meet_nobody():
  mine = hashes([0, 0, 9])
  assert candidates.Searched(mine).among(mine).eval_index.tolist() == [2]
