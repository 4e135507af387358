"""Features on disk: the same values back, computed once, anew when their key changes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jft_reps.errors import DataError, NumericError, StorageError
from jft_reps.tasks.frozen import cache


def batches(count=7, size=3, calls=None):
  values = np.random.default_rng(1).normal(size=(count, 5))
  targets = np.arange(count) % 4

  def give():
    if calls is not None:
      calls.append(1)
    for start in range(0, count, size):
      at = slice(start, start + size)
      yield [f"p{i}\n" for i in range(count)[at]], values[at], targets[at]

  return give, values.astype(np.float32), targets


def test_stored_features_are_read_without_computing_them_again(tmp_path):
  calls, seen = [], []
  give, values, targets = batches(calls=calls)
  for _ in range(2):
    found = cache.cached(tmp_path, "train", {"weights": "a"}, give, seen.append)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.targets, targets)
    assert found.ids == [f"p{i}\n" for i in range(7)]
    assert isinstance(found.values, np.memmap) and not found.values.flags.writeable
  assert len(calls) == 1 and seen == [3, 6, 7]


def test_another_key_computes_anew(tmp_path):
  calls = []
  give, *_ = batches(calls=calls)
  for key in ({"weights": "a"}, {"weights": "b"}, {"weights": "b", "pixels": [1]}):
    cache.cached(tmp_path, "train", key, give)
  assert len(calls) == 3


@pytest.mark.parametrize("damage", ["cut values", "cut ids", "no description", "other text"])
def test_a_damaged_cache_is_computed_anew(tmp_path, damage):
  give, values, _ = batches()
  cache.cached(tmp_path, "train", {}, give)
  if damage == "cut values":
    (tmp_path / "train.values").write_bytes(b"\0" * 10)
  elif damage == "cut ids":
    (tmp_path / "train.ids").write_text('"p0"\n')
  elif damage == "no description":
    (tmp_path / "train.json").unlink()
  else:
    (tmp_path / "train.json").write_text(json.dumps({"key": {}, "values": 3}))
  np.testing.assert_array_equal(cache.cached(tmp_path, "train", {}, give).values, values)


def test_an_interrupted_computation_leaves_no_cache(tmp_path):
  give, values, _ = batches()

  def killed():
    yield next(iter(give()))
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    cache.cached(tmp_path, "train", {}, killed)
  np.testing.assert_array_equal(cache.cached(tmp_path, "train", {}, give).values, values)


def test_what_is_not_finite_or_empty_is_refused(tmp_path):
  bad = lambda: iter([(["p9"], np.array([[np.nan]]), np.array([0]))])
  with pytest.raises(NumericError, match="train: features of p9"):
    cache.cached(tmp_path, "train", {}, bad)
  with pytest.raises(DataError, match="no usable picture"):
    cache.cached(tmp_path, "train", {}, lambda: iter([]))
  (tmp_path / "file").write_text("")
  with pytest.raises(StorageError, match="a folder to write to"):
    cache.cached(tmp_path / "file", "train", {}, batches()[0])
