"""Batch normalisation equals NumPy, records on its tape, and changes nothing by itself."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.models import batch_norm

MOMENTUM, EPSILON = 0.9, 1e-5


def randomised(channels: int = 3) -> batch_norm.BatchNorm:
  random = np.random.default_rng(1)
  norm = batch_norm.BatchNorm(channels, momentum=MOMENTUM, epsilon=EPSILON)
  for variable in (norm.gamma, norm.moving_variance):
    variable.assign(random.uniform(0.5, 2, channels))
  for variable in (norm.beta, norm.moving_mean):
    variable.assign(random.normal(size=channels))
  return norm


def activations(*shape: int, seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).normal(1.0, 3.0, shape).astype(np.float32)


def normalised(norm, x, mean, variance):
  return (x - mean) / np.sqrt(variance + EPSILON) * norm.gamma.numpy() + norm.beta.numpy()


def test_train_mode_normalises_by_the_batch_and_records_the_change():
  norm, x = randomised(), activations(2, 5, 4, 3)
  before = norm.moving_mean.numpy(), norm.moving_variance.numpy()
  with batch_norm.StatisticsTape() as statistics:
    y = norm(x, mode="train")
  mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
  np.testing.assert_allclose(y, normalised(norm, x, mean, variance), atol=1e-5)
  np.testing.assert_array_equal(norm.moving_mean, before[0])
  np.testing.assert_array_equal(norm.moving_variance, before[1])
  assert [variable.name for variable, _ in statistics.updates] == [
      norm.moving_mean.name, norm.moving_variance.name
  ]
  for variable, delta in statistics.updates:
    variable.assign_add(delta)
  unbiased = variance * 40 / 39
  for now, then, batch in zip(
      (norm.moving_mean, norm.moving_variance), before, (mean, unbiased)
  ):
    np.testing.assert_allclose(now, MOMENTUM * then + (1 - MOMENTUM) * batch, rtol=1e-5)


def test_frozen_mode_normalises_by_the_moving_statistics_and_records_nothing():
  norm, x = randomised(), activations(2, 5, 4, 3)
  with batch_norm.StatisticsTape() as statistics:
    y = norm(x, mode="frozen")
  expected = normalised(norm, x, norm.moving_mean.numpy(), norm.moving_variance.numpy())
  np.testing.assert_allclose(y, expected, atol=1e-5)
  assert statistics.updates == [] and statistics.moments == []


@pytest.mark.parametrize("mode", ["train", "frozen"])
def test_gradients_equal_those_of_the_formula(mode):
  norm, x = randomised(), tf.constant(activations(2, 3, 3, 3))
  weights = tf.constant(activations(2, 3, 3, 3, seed=5))
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss = tf.reduce_sum(weights * norm(x, mode=mode))
  found = tape.gradient(loss, [x, norm.gamma, norm.beta])
  with tf.GradientTape() as tape:
    tape.watch(x)
    mean, variance = norm.moving_mean, norm.moving_variance
    if mode == "train":
      mean, variance = tf.nn.moments(x, [0, 1, 2])
    y = (x - mean) * tf.math.rsqrt(variance + EPSILON) * norm.gamma + norm.beta
    loss = tf.reduce_sum(weights * y)
  expected = tape.gradient(loss, [x, norm.gamma, norm.beta])
  for f, e in zip(found, expected):
    np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-4)


def test_bfloat16_activations_keep_float32_statistics():
  norm, x = randomised(), activations(2, 5, 4, 3)
  with batch_norm.StatisticsTape() as statistics:
    y = norm(tf.cast(x, tf.bfloat16), mode="train")
  assert y.dtype == tf.bfloat16
  assert all(delta.dtype == tf.float32 for _, delta in statistics.updates)
  expected = normalised(norm, x, x.mean((0, 1, 2)), x.var((0, 1, 2)))
  np.testing.assert_allclose(tf.cast(y, tf.float32), expected, atol=0.05)


def test_a_nan_in_the_batch_reaches_the_tape_and_not_the_statistics():
  norm = randomised()
  before = norm.moving_mean.numpy()
  with batch_norm.StatisticsTape() as statistics:
    norm(np.full([1, 2, 2, 3], np.nan, np.float32), mode="train")
  assert np.isnan(statistics.updates[0][1]).all()
  np.testing.assert_array_equal(norm.moving_mean, before)


def test_the_innermost_tape_records():
  norm, x = randomised(), activations(1, 2, 2, 3)
  with batch_norm.StatisticsTape() as outer:
    with batch_norm.StatisticsTape() as inner:
      norm(x)
    assert (len(inner.updates), len(outer.updates)) == (2, 0)
    norm(x)
  norm(x)
  assert (len(inner.updates), len(outer.updates)) == (2, 2)


def test_the_tape_is_taken_off_when_the_block_raises():
  norm, x = randomised(), activations(1, 2, 2, 3)
  with pytest.raises(KeyError), batch_norm.StatisticsTape() as statistics:
    raise KeyError
  norm(x)
  assert statistics.updates == []


def test_each_thread_has_its_own_tape():
  norm, x = randomised(), activations(1, 2, 2, 3)
  together, seen = threading.Barrier(2), {}

  def run(name: str, times: int) -> None:
    with batch_norm.StatisticsTape() as statistics:
      together.wait(10)
      for _ in range(times):
        norm(x)
      together.wait(10)
    seen[name] = len(statistics.updates)

  threads = [threading.Thread(target=run, args=(f"{n}", n)) for n in (1, 3)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join(30)
  assert seen == {"1": 2, "3": 6}


def test_a_tape_inside_tf_function_gives_the_same_change():
  norm, x = randomised(), activations(2, 3, 3, 3)

  @tf.function
  def inside(x):
    with batch_norm.StatisticsTape() as statistics:
      norm(x)
    return [delta for _, delta in statistics.updates]

  with batch_norm.StatisticsTape() as statistics:
    norm(x)
  for found, (_, expected) in zip(inside(x), statistics.updates, strict=True):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_tape_around_tf_function_is_refused():
  norm = randomised()
  with pytest.raises(RuntimeError, match="inside the tf.function"):
    with batch_norm.StatisticsTape():
      tf.function(lambda x: norm(x))(activations(1, 2, 2, 3))


def test_an_unknown_mode_is_refused():
  with pytest.raises(ValueError, match="'training'"):
    randomised()(activations(1, 2, 2, 3), mode="training")


def test_recalibration_pools_the_moments_of_all_batches():
  first, second = randomised(), randomised()

  def model(x):
    return second(tf.nn.relu(first(x, mode="recalibrate")), mode="recalibrate")

  x = activations(4, 6, 5, 5, 3)
  weights = first.gamma.numpy()
  assert batch_norm.recalibrate(model, tf.data.Dataset.from_tensor_slices(x).repeat(), 4) == 2
  np.testing.assert_allclose(first.moving_mean, x.mean((0, 1, 2, 3)), rtol=1e-5)
  # Pooled: unbiased within batches, plus the variance between their means.
  variance = x.var((1, 2, 3), ddof=1).mean(0) + x.mean((1, 2, 3)).var(0)
  np.testing.assert_allclose(first.moving_variance, variance, rtol=1e-5)
  y = np.stack([
      np.maximum(normalised(first, b, b.mean((0, 1, 2)), b.var((0, 1, 2))), 0) for b in x
  ])
  np.testing.assert_allclose(second.moving_mean, y.mean((0, 1, 2, 3)), rtol=1e-4)
  np.testing.assert_array_equal(first.gamma, weights)


def test_recalibration_refuses_what_it_cannot_use_and_changes_nothing():
  norm = randomised()
  before = norm.moving_mean.numpy()
  x = activations(2, 6, 5, 5, 3)
  model = lambda x: norm(x, mode="recalibrate")
  with pytest.raises(errors.DataError, match="2 of 3 batches"):
    batch_norm.recalibrate(model, tf.data.Dataset.from_tensor_slices(x), 3)
  with pytest.raises(errors.DataError, match="no layer"):
    batch_norm.recalibrate(norm, tf.data.Dataset.from_tensor_slices(x), 2)
  x[1, 0, 0, 0, 0] = np.nan
  with pytest.raises(errors.DataError, match="NaN"):
    batch_norm.recalibrate(model, tf.data.Dataset.from_tensor_slices(x), 2)
  np.testing.assert_array_equal(norm.moving_mean, before)
