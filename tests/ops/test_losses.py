"""The multi-label loss equals NumPy in float64, for hard, soft and unknown labels."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies
from hypothesis.extra import numpy as arrays

from jft_reps import errors
from jft_reps.ops import losses


def logistic(logits, targets):
  """-z log sigmoid(x) - (1 - z) log(1 - sigmoid(x)), without overflow."""
  logits = np.asarray(logits, np.float64)
  return targets * np.logaddexp(0, -logits) + (1 - targets) * np.logaddexp(0, logits)


def case(batch=4, classes=30, seed=0):
  random = np.random.default_rng(seed)
  logits = random.normal(-3, 4, [batch, classes]).astype(np.float32)
  return logits, (random.random([batch, classes]) < 0.1).astype(np.uint8), random


shapes = strategies.tuples(strategies.integers(1, 4), strategies.integers(1, 6))


@given(shapes.flatmap(lambda shape: strategies.tuples(
    arrays.arrays(np.float32, shape, elements=strategies.floats(-1e4, 1e4, width=32)),
    arrays.arrays(np.float32, shape, elements=strategies.floats(0, 1, width=32)))))
def test_sum_over_classes_mean_over_batch_equals_numpy(arrays_of):
  logits, targets = arrays_of
  expected = logistic(logits, targets.astype(np.float64)).sum(1).mean()
  np.testing.assert_allclose(
      losses.sigmoid_cross_entropy(logits, targets), expected, rtol=1e-5, atol=1e-5
  )


def test_it_equals_tensorflows_op_on_hard_labels():
  logits, targets, _ = case()
  each = tf.nn.sigmoid_cross_entropy_with_logits(targets.astype(np.float32), logits)
  found = losses.sigmoid_cross_entropy(logits, targets)
  np.testing.assert_allclose(found, np.sum(each) / 4, rtol=1e-6)


def test_mean_divides_by_all_labels():
  logits, targets, _ = case()
  found = losses.sigmoid_cross_entropy(logits, targets, reduction="mean")
  np.testing.assert_allclose(found, logistic(logits, targets).mean(), rtol=1e-5)


def test_unknown_labels_have_neither_loss_nor_gradient():
  logits, targets, random = case()
  unknown = random.random(logits.shape) < 0.5
  logits[unknown] *= 20
  x = tf.constant(logits)
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    total = losses.sigmoid_cross_entropy(x, targets, unknown)
    mean = losses.sigmoid_cross_entropy(
        x, targets, unknown=unknown.astype(np.uint8), reduction="mean")
  known = np.where(unknown, 0, logistic(logits, targets))
  np.testing.assert_allclose(total, known.sum(1).mean(), rtol=1e-5)
  np.testing.assert_allclose(mean, known.sum() / (~unknown).sum(), rtol=1e-5)
  sigmoid = 1 / (1 + np.exp(-logits.astype(np.float64)))
  expected = np.where(unknown, 0, sigmoid - targets)
  np.testing.assert_allclose(tape.gradient(total, x), expected / 4, atol=1e-6)
  np.testing.assert_allclose(tape.gradient(mean, x), expected / (~unknown).sum(), atol=1e-6)


def test_nothing_known_is_no_loss():
  logits, targets, _ = case()
  for reduction in losses.REDUCTIONS:
    assert losses.sigmoid_cross_entropy(logits, targets, np.ones_like(targets), reduction) == 0


def test_the_gradient_is_the_sigmoid_minus_the_target_over_the_batch():
  logits, targets, _ = case()
  x = tf.constant(logits)
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss = losses.sigmoid_cross_entropy(x, targets)
  expected = (1 / (1 + np.exp(-logits.astype(np.float64))) - targets) / 4
  np.testing.assert_allclose(tape.gradient(loss, x), expected, atol=1e-6)


def test_bfloat16_logits_are_summed_in_float32():
  logits = tf.fill([2, 18291], tf.cast(-5.0, tf.bfloat16))
  loss = losses.sigmoid_cross_entropy(logits, tf.zeros([2, 18291], tf.uint8))
  assert loss.dtype == tf.float32
  np.testing.assert_allclose(loss, 18291 * np.log1p(np.exp(-5)), rtol=1e-4)


def test_an_unknown_reduction_names_the_choices():
  logits, targets, _ = case()
  with pytest.raises(errors.ConfigError, match="'sum_classes' or 'mean'"):
    losses.sigmoid_cross_entropy(logits, targets, reduction="sum")
