"""A checkpoint counts only when committed, restores strictly, and survives any sharding."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import StorageError
from jft_reps.models import sharded_dense
from jft_reps.models.variables import Slices, named_variables
from jft_reps.training.run_directory import checkpoints


def variable(*shape, seed=0):
  return tf.Variable(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("before", [1, 7, 50])
@pytest.mark.parametrize("after", [1, 7, 50])
def test_a_classifier_restores_across_numbers_of_shards(tmp_path, before, after):
  units = 101  # divisible by none of them
  old = sharded_dense.ShardedDense(5, units, before)
  items = named_variables(old)
  for item in items.values():
    for i, part in enumerate(item.parts):
      part.assign(np.random.default_rng(i).normal(size=part.shape))
  checkpoints.save(tmp_path, 3, items)
  new = sharded_dense.ShardedDense(5, units, after)
  checkpoints.restore(tmp_path / "ckpt-3", named_variables(new))
  x = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
  np.testing.assert_array_equal(
      np.concatenate([p.numpy() for p in new.kernel.parts], 1),
      np.concatenate([p.numpy() for p in old.kernel.parts], 1))
  np.testing.assert_allclose(new(x), old(x), rtol=1e-5, atol=1e-6)


def test_shards_read_as_one_tensor(tmp_path):
  parts = tuple(variable(4, n, seed=n) for n in (3, 2, 2))
  checkpoints.save(tmp_path, 1, {"head/kernel": Slices((4, 7), 1, parts)})
  whole = tf.train.load_checkpoint(str(tmp_path / "ckpt-1")).get_tensor("head/kernel")
  np.testing.assert_array_equal(whole, np.concatenate([p.numpy() for p in parts], axis=1))


def test_names_are_plain_and_strings_travel(tmp_path):
  checkpoints.save(tmp_path, 1, {"a/b": variable(2), "labels": tf.constant('["x"]')})
  assert checkpoints.shapes(tmp_path / "ckpt-1") == {"a/b": (2,), "labels": ()}
  assert json.loads(checkpoints.read(tmp_path / "ckpt-1", ["labels"])["labels"]) == ["x"]


def test_without_its_marker_a_checkpoint_does_not_exist(tmp_path):
  checkpoints.save(tmp_path, 1, {"a": variable(2)})
  checkpoints.save(tmp_path, 2, {"a": variable(2)})
  (tmp_path / "ckpt-2.ok").unlink()
  assert checkpoints.committed(tmp_path) == [1]
  checkpoints.remove_leftovers(tmp_path)
  assert not list(tmp_path.glob("ckpt-2.*"))


def test_what_is_not_finite_is_never_committed(tmp_path):
  with pytest.raises(StorageError, match="w: 1 values are not finite"):
    checkpoints.save(tmp_path, 1, {"w": tf.Variable([1.0, np.nan])})
  assert list(tmp_path.iterdir()) == []


def test_a_step_is_never_overwritten(tmp_path):
  checkpoints.save(tmp_path, 1, {"a": variable(2)})
  with pytest.raises(StorageError, match="already committed"):
    checkpoints.save(tmp_path, 1, {"a": variable(2)})


@pytest.mark.parametrize("items,message", [
    ({"a": (3,)}, "a: checkpoint \\(2,\\), model \\(3,\\)"),
    ({"a": (2,), "c": (1,)}, "c: checkpoint nothing"),
    ({}, "1 in the checkpoint only \\(a\\)")])
def test_a_mismatch_names_both_sides_and_assigns_nothing(tmp_path, items, message):
  checkpoints.save(tmp_path, 1, {"a": variable(2)})
  targets = {name: variable(*shape, seed=9) for name, shape in items.items()}
  before = {name: v.numpy() for name, v in targets.items()}
  with pytest.raises(StorageError, match=message):
    checkpoints.restore(tmp_path / "ckpt-1", targets)
  for name, v in targets.items():
    np.testing.assert_array_equal(v, before[name])


def _cut(path):
  path.write_bytes(path.read_bytes()[:-8])


def _flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


@pytest.mark.parametrize("damage", [_cut, _flip, lambda p: p.write_bytes(b""),
                                    lambda p: p.unlink()])
@pytest.mark.parametrize("file", ["index", "data-00000-of-00001"])
def test_damage_is_an_error_that_names_the_checkpoint(tmp_path, damage, file):
  checkpoints.save(tmp_path, 1, {"a": variable(50)})
  target = variable(50, seed=9)
  before = target.numpy()
  damage(tmp_path / f"ckpt-1.{file}")
  with pytest.raises(StorageError, match="ckpt-1"):
    checkpoints.verify(tmp_path, 1)
    checkpoints.restore(tmp_path / "ckpt-1", {"a": target})
  np.testing.assert_array_equal(target, before)


def test_clean_up_keeps_the_newest_and_the_pinned(tmp_path):
  for step in range(1, 7):
    checkpoints.save(tmp_path, step, {"a": variable(2)})
  assert checkpoints.clean_up(tmp_path, 2, pinned=[3]) == [1, 2, 4]
  assert checkpoints.committed(tmp_path) == [3, 5, 6]
  assert not list(tmp_path.glob("ckpt-4.*"))


@pytest.mark.parametrize("steps,wanted,expected", [
    ([10, 20, 31], [20, 30], {20, 31}), ([10, 20], [21], set()), ([], [0], set()),
    ([0, 10], [0, 5, 7], {0, 10})])
def test_a_milestone_is_the_first_commit_at_or_after_it(steps, wanted, expected):
  assert checkpoints.milestones(steps, wanted) == expected


def test_a_full_disk_leaves_the_older_checkpoint_and_a_clear_error(tmp_path):
  import resource

  checkpoints.save(tmp_path, 1, {"a": variable(10)})
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  import signal
  previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    with pytest.raises(StorageError, match="MiB are free"):
      checkpoints.save(tmp_path, 2, {"a": variable(100, 1000)})
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, previous)
  assert checkpoints.committed(tmp_path) == [1]
  assert not list(tmp_path.glob(".ckpt-*"))
  checkpoints.save(tmp_path, 2, {"a": variable(100, 1000)})
  assert checkpoints.committed(tmp_path) == [1, 2]
