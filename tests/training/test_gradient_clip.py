"""Each variable's gradient is cut to a length by itself, as slim does; two pushes by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.task import START
from jft_reps.training import optimizers, schedules
from tests.models.numpy_faster_rcnn import clipped
from tests.training.test_trainer import options, state_at, train
from tests.training.tiny_task import TinyTask

NAMES = ("head/kernel", "head/bias", "norm/gamma", "norm/beta")
RATE, MOMENTUM = 0.05, 0.9


def run(path, clip, steps=2, task=None, **values):
  train(path, steps, task or TinyTask(shards=1), checkpoint_every=1, log_every=1, keep=9,
        gradient_clip=clip, **{"ema_decay": 0.0, "weight_decay": 0.0,
                               "optimizer": optimizers.Momentum(MOMENTUM),
                               "schedule": schedules.ExponentialDecay(RATE, 1.0, 10**6), **values})
  return [state_at(path, step) for step in range(steps + 1)]


def gradients(batch, state):
  """Of the tiny model's loss: softplus, a dense layer, batch-norm by the batch."""
  x, y = batch["x"].numpy().astype(np.float64), batch["targets"].numpy()
  normal = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
  hidden = normal * state["norm/gamma"] + state["norm/beta"]
  logits = hidden @ state["head/kernel"] + state["head/bias"]
  d = (1 / (1 + np.exp(-logits)) - y) / len(x)
  back = d @ state["head/kernel"].T
  return [hidden.T @ d, d.sum(0), (back * normal).sum(0), back.sum(0)]


def by_hand(start, clip, steps=2, skip=0):
  """States of momentum on clipped gradients; `None` clips none."""
  batches = iter(TinyTask(shards=1).train_dataset(START).skip(skip))
  state = {name: start[name].astype(np.float64) for name in NAMES}
  accumulators, lengths = [0.0] * len(NAMES), []
  for _ in range(steps):
    found = gradients(next(batches), state)
    lengths.append([np.linalg.norm(g) for g in found])
    found = found if clip is None else clipped(found, clip)
    accumulators = [MOMENTUM * a + g for a, g in zip(accumulators, found)]
    state = {name: state[name] - RATE * a for name, a in zip(NAMES, accumulators)}
  return state, dict(zip(NAMES, accumulators)), np.array(lengths)


def assert_at(found, state, accumulators):
  for name in NAMES:
    np.testing.assert_allclose(found[name], state[name], rtol=1e-3, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(found[f"slots/momentum/{name}"], accumulators[name], rtol=1e-3,
                               atol=1e-5, err_msg=name)


def test_each_variable_s_gradient_is_cut_by_itself(tmp_path):
  # Between the lengths: the head's gradients are cut, those of gamma and beta are not.
  states = run(tmp_path, 0.3)
  state, accumulators, lengths = by_hand(states[0], 0.3)
  assert (lengths[:, :2] > 0.33).all() and (lengths[:, 2:] < 0.27).all()
  assert_at(states[2], state, accumulators)
  together = 0.3 / np.sqrt((lengths[0]**2).sum())  # what a global norm would leave of it
  assert abs(together * lengths[0][1] - 0.3) > 0.05
  assert np.linalg.norm(states[1]["slots/momentum/head/bias"]) == pytest.approx(0.3, rel=1e-4)


def test_zero_and_long_limits_change_nothing(tmp_path):
  states = run(tmp_path / "off", 0.0)
  assert_at(states[2], *by_hand(states[0], None)[:2])
  far = run(tmp_path / "far", 1e6)[2]
  for name in NAMES:
    np.testing.assert_allclose(far[name], states[2][name], rtol=1e-6, err_msg=name)


def test_a_push_that_is_not_finite_is_skipped_and_not_clipped(tmp_path):
  poison = lambda worker, row: tf.equal(row, 1)  # in the first batch of four
  states = run(tmp_path, 0.3, 1, TinyTask(shards=1, poison=poison))
  state, accumulators, _ = by_hand(states[0], 0.3, 1, skip=1)
  assert states[1]["skipped"] == 1
  assert_at(states[1], state, accumulators)


@pytest.mark.parametrize("clip", [-1.0, float("nan"), "10"])
def test_a_limit_that_is_no_length_is_an_error(clip):
  with pytest.raises(errors.ConfigError, match="gradient_clip"):
    options(5, gradient_clip=clip)
