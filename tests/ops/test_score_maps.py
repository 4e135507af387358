"""Losses and interpolation of score maps against plain loops, and void counts for nothing."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from jft_reps.ops import score_maps
from jft_reps.ops.masked_pictures import VOID


def _plain_loss(scores, mask, stride):
  """Pixel by pixel: the surprise at the true class, void left out."""
  found = []
  for picture, truth in zip(scores, mask):
    for i, row in enumerate(picture):
      for j, values in enumerate(row):
        label = int(truth[i * stride, j * stride])
        if label != VOID:
          values = values.astype(np.float64)
          found.append(np.log(np.exp(values).sum()) - values[label])
  return sum(found) / len(found) if found else 0.0


def _case(seed, side=25, stride=8, classes=4, void=0.3):
  rng = np.random.default_rng(seed)
  count = -(-side // stride)
  mask = rng.integers(0, classes, (2, side, side)).astype(np.uint8)
  mask[rng.random(mask.shape) < void] = VOID
  return rng.normal(0, 2, (2, count, count, classes)).astype(np.float32), mask


@pytest.mark.parametrize("side", [17, 24, 25])
def test_the_loss_is_that_of_every_eighth_pixel(side):
  scores, mask = _case(side, side)
  found = score_maps.loss(tf.constant(scores), tf.constant(mask), 8)
  assert abs(float(found) - _plain_loss(scores, mask, 8)) < 1e-5


def test_void_pixels_have_no_gradient_and_all_void_no_loss():
  scores, mask = _case(0)
  with tf.GradientTape() as tape:
    variable = tf.Variable(scores)
    loss = score_maps.loss(variable, tf.constant(mask), 8)
  gradient = tape.gradient(loss, variable).numpy()
  void = mask[:, ::8, ::8] == VOID
  assert void.any() and not void.all()
  assert (gradient[void] == 0).all() and (np.abs(gradient[~void]).sum(-1) > 0).all()
  with tf.GradientTape() as tape:
    loss = score_maps.loss(variable, tf.fill(mask.shape, np.uint8(VOID)), 8)
  assert float(loss) == 0.0 and not tape.gradient(loss, variable).numpy().any()


def test_accuracy_is_the_share_of_known_pixels_that_are_right():
  scores, mask = _case(3)
  truth = mask[:, ::8, ::8]
  right = (scores.argmax(-1) == truth)[truth != VOID].mean()
  assert abs(float(score_maps.accuracy(tf.constant(scores), mask, 8)) - right) < 1e-6


def _plain_interpolation(scores, stride, input_size, size):
  """Pixel by pixel, with the four scores around the place that a pixel's centre comes from."""
  out = np.zeros((*size, scores.shape[-1]))
  for y in range(size[0]):
    for x in range(size[1]):
      place = [((at + 0.5) * input_size[k] / size[k] - 0.5) / stride for k, at in ((0, y), (1, x))]
      place = [min(max(p, 0.0), scores.shape[k] - 1.0) for k, p in enumerate(place)]
      low = [int(p) for p in place]
      for dy in (0, 1):
        for dx in (0, 1):
          weight = (1 - abs(low[0] + dy - place[0])) * (1 - abs(low[1] + dx - place[1]))
          if weight > 0:
            out[y, x] += weight * scores[low[0] + dy, low[1] + dx]
  return out


@hypothesis.given(st.integers(0, 1000), st.integers(9, 60), st.integers(9, 60),
                  st.integers(3, 40), st.integers(3, 40))
@hypothesis.settings(max_examples=20)
def test_interpolation_is_that_of_a_plain_loop(seed, height, width, rows, columns):
  count = (-(-height // 8), -(-width // 8), 3)
  scores = np.random.default_rng(seed).normal(size=count).astype(np.float32)
  found = score_maps.interpolated(
      tf.constant(scores), 8, tf.constant([height, width]), tf.constant([rows, columns]))
  expected = _plain_interpolation(scores, 8, (height, width), (rows, columns))
  np.testing.assert_allclose(found, expected, atol=2e-5)


def test_at_the_networks_own_size_every_eighth_pixel_keeps_its_score():
  scores = np.random.default_rng(1).normal(size=(5, 4, 3)).astype(np.float32)
  size = tf.constant([33, 26])
  found = score_maps.interpolated(tf.constant(scores), 8, size, size)
  np.testing.assert_allclose(found[::8, ::8], scores, atol=1e-6)


@pytest.mark.parametrize("size", [(300, 41), (128, 128), (1, 1)])
def test_the_best_class_is_that_of_all_rows_at_once(size):
  scores = tf.constant(np.random.default_rng(2).normal(size=(9, 9, 5)).astype(np.float32))
  where = 8, tf.constant([72, 65]), tf.constant(size)
  expected = np.argmax(score_maps.interpolated(scores, *where), -1)
  np.testing.assert_array_equal(score_maps.best_classes(scores, *where), expected)
