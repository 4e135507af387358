"""Convolution and pooling equal plain NumPy loops with symmetric padding."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.models import layers


def numpy_conv(x, kernel, stride, rate):
  """Output i is centred on input stride * i; zeros outside the picture."""
  size = kernel.shape[0]
  reach = rate * (size // 2)
  padded = np.pad(x, [(0, 0), (reach, reach), (reach, reach), (0, 0)])
  rows, columns = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
  out = np.zeros([x.shape[0], rows, columns, kernel.shape[3]])
  for i in range(rows):
    for j in range(columns):
      for a in range(size):
        for b in range(size):
          pixel = padded[:, i * stride + a * rate, j * stride + b * rate]
          out[:, i, j] += pixel @ kernel[a, b]
  return out


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("stride,rate", [(1, 1), (2, 1), (1, 2), (1, 4), (3, 1)])
@pytest.mark.parametrize("height,width", [(9, 10), (12, 7)])
def test_convolution_equals_numpy(size, stride, rate, height, width):
  random = np.random.default_rng(size * stride * rate)
  conv = layers.Conv2D(3, 2, size)
  x = random.normal(size=[2, height, width, 3]).astype(np.float32)
  expected = numpy_conv(x, conv.kernel.numpy().astype(np.float64), stride, rate)
  np.testing.assert_allclose(conv(x, stride=stride, rate=rate), expected, atol=1e-5)


def test_stride_and_rate_of_the_constructor_are_the_defaults_of_the_call():
  x = tf.random.normal([1, 8, 8, 2])
  strided = layers.Conv2D(2, 2, 3, stride=2)
  np.testing.assert_array_equal(strided(x), strided(x, stride=2))
  atrous = layers.Conv2D(2, 2, 3, rate=2)
  np.testing.assert_array_equal(atrous(x), atrous(x, rate=2))


def test_even_kernels_and_strided_atrous_are_refused():
  with pytest.raises(ValueError, match="odd"):
    layers.Conv2D(1, 1, 2)
  with pytest.raises(ValueError, match="one of the two"):
    layers.Conv2D(1, 1, 3)(tf.zeros([1, 8, 8, 1]), stride=2, rate=2)


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_pooling_equals_numpy(size, padding):
  x = np.abs(np.random.default_rng(0).normal(size=[1, size, size, 2])).astype(np.float32)
  # SAME puts the single padded row of an even size at the end.
  shift = 1 if padding == "symmetric" or size % 2 else 0
  expected = np.zeros([1, -(-size // 2), -(-size // 2), 2], np.float32)
  for i in range(expected.shape[1]):
    for j in range(expected.shape[2]):
      rows = slice(max(0, 2 * i - shift), 2 * i - shift + 3)
      columns = slice(max(0, 2 * j - shift), 2 * j - shift + 3)
      expected[:, i, j] = x[:, rows, columns].max(axis=(1, 2))
  np.testing.assert_array_equal(layers.max_pool(tf.constant(x), padding=padding), expected)


def test_initial_kernel_has_the_variance_of_he_and_repeats_with_the_seed():
  tf.random.set_seed(3)
  first = layers.Conv2D(64, 256, 3).kernel.numpy()
  assert first.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.01)
  assert abs(first.mean()) < 1e-3
  assert np.abs(first).max() < 2.3 * np.sqrt(2 / (9 * 64))
  tf.random.set_seed(3)
  np.testing.assert_array_equal(layers.Conv2D(64, 256, 3).kernel, first)


def test_a_layer_built_in_a_graph_leaves_living_layers_as_they_are():
  x = tf.random.normal([1, 4, 4, 1])
  living = layers.Conv2D(1, 1, 3)
  before = living(x)
  with tf.Graph().as_default():
    assert layers.Conv2D(1, 1, 3).kernel.shape == [3, 3, 1, 1]
  np.testing.assert_array_equal(living(x), before)
