"""A layer in shards is one dense layer, in value and in gradient."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies

from jft_reps import errors
from jft_reps.models import sharded_dense


def test_the_papers_classifier_has_41_shards_of_366_and_9_of_365():
  sizes = sharded_dense.shard_sizes(18291, 50)
  assert sizes == [366] * 41 + [365] * 9 and sum(sizes) == 18291


@hypothesis.given(strategies.integers(1, 5000), strategies.data())
def test_shards_are_near_equal_and_cover_all_units(units, data):
  shards = data.draw(strategies.integers(1, units))
  sizes = sharded_dense.shard_sizes(units, shards)
  assert len(sizes) == shards and sum(sizes) == units
  assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
  assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("shards", [0, -1, 11])
def test_impossible_shards_are_refused(shards):
  with pytest.raises(errors.ConfigError, match="classifier-shards.*1 to 10"):
    sharded_dense.ShardedDense(4, 10, shards)


@pytest.mark.parametrize("shards", [1, 7, 50])
def test_values_and_gradients_equal_one_dense_layer(shards):
  units, random = 103, np.random.default_rng(shards)
  layer = sharded_dense.ShardedDense(16, units, shards, initial_bias=random.normal(size=units))
  kernel = tf.constant(np.concatenate([p.numpy() for p in layer.kernel.parts], axis=1))
  bias = tf.constant(np.concatenate([p.numpy() for p in layer.bias.parts]))
  assert kernel.shape == layer.kernel.full_shape and bias.shape == layer.bias.full_shape
  x = tf.constant(random.normal(size=[4, 16]), tf.float32)
  weights = tf.constant(random.normal(size=[4, units]), tf.float32)
  parts = [*layer.kernel.parts, *layer.bias.parts]
  with tf.GradientTape(persistent=True) as tape:
    tape.watch([x, kernel, bias])
    found, right = layer(x), x @ kernel + bias
    losses = [tf.reduce_sum(weights * tf.tanh(y)) for y in (found, right)]
  np.testing.assert_allclose(found, right, atol=1e-6)
  gradients = tape.gradient(losses[0], parts)
  np.testing.assert_allclose(
      tf.concat(gradients[:shards], 1), tape.gradient(losses[1], kernel), atol=1e-5
  )
  np.testing.assert_allclose(
      tf.concat(gradients[shards:], 0), tape.gradient(losses[1], bias), atol=1e-5
  )
  np.testing.assert_allclose(
      tape.gradient(losses[0], x), tape.gradient(losses[1], x), atol=1e-5
  )


def test_logits_are_float32_for_bfloat16_features():
  layer = sharded_dense.ShardedDense(4, 6, 2)
  assert layer(tf.ones([1, 4], tf.bfloat16)).dtype == tf.float32
