"""Crops equal TensorFlow's, and their gradient a plain sum over crops, every time."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.ops import crops


def weights(start, end, size, side):
  """How much each cell counts in each sample of one crop, `[side, size]`."""
  found = np.zeros([side, size])
  for k in range(side):
    place = start * (size - 1) + k * (end - start) * (size - 1) / (side - 1)
    if 0 <= place <= size - 1:
      low = int(np.floor(place))
      found[k, low] += 1 - (place - low)
      found[k, min(low + 1, size - 1)] += place - low
  return found


@pytest.mark.parametrize("count", [0, 1, 40])
def test_crops_and_their_gradient_are_weighted_sums(count):
  rng = np.random.default_rng(count)
  features = rng.normal(size=[1, 9, 13, 6])
  corners = rng.uniform(-0.1, 0.6, [count, 2])
  boxes = np.concatenate([corners, corners + rng.uniform(0, 0.6, [count, 2])], 1)
  boxes = boxes.astype(np.float32).astype(np.float64)
  pushed = rng.normal(size=[count, 5, 5, 6])
  wanted, gradient = np.zeros([count, 5, 5, 6]), np.zeros([9, 13, 6])
  for i, (top, left, bottom, right) in enumerate(boxes):
    rows, columns = weights(top, bottom, 9, 5), weights(left, right, 13, 5)
    wanted[i] = np.einsum("iy,jx,yxc->ijc", rows, columns, features[0])
    gradient += np.einsum("iy,jx,ijc->yxc", rows, columns, pushed[i])
  x = tf.constant(features, tf.float32)
  with tf.GradientTape() as tape:
    tape.watch(x)
    found = crops.crop_and_resize(x, tf.constant(boxes, tf.float32), 5)
    loss = tf.reduce_sum(found * tf.constant(pushed, tf.float32))
  np.testing.assert_allclose(found, wanted, atol=2e-5)
  np.testing.assert_allclose(tape.gradient(loss, x)[0], gradient, atol=1e-4)


def test_many_crops_of_the_same_place_all_count_in_every_run():
  features = tf.zeros([1, 20, 20, 256])
  boxes = tf.tile([[0.0, 0.0, 0.96, 0.96]], [128, 1])

  @tf.function
  def gradient():
    with tf.GradientTape() as tape:
      tape.watch(features)
      total = tf.reduce_sum(crops.crop_and_resize(features, boxes, 14))
    return tape.gradient(total, features)

  each = np.outer(*[weights(0, 0.96, 20, 14).sum(0)] * 2)
  for _ in range(5):
    np.testing.assert_allclose(gradient()[0], np.tile(128 * each[..., None], 256), rtol=1e-4)
