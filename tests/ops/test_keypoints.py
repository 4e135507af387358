"""Heatmaps, offsets, votes and peaks against plain loops; perfect maps give their points back."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from jft_reps.ops import keypoints

HEIGHT, WIDTH, COUNT = 41, 33, 3


def _points(seed, batch=2, count=COUNT, beyond=0.0):
  rng = np.random.default_rng(seed)
  places = rng.uniform(-beyond, 1 + beyond, (batch, count, 2)) * [HEIGHT, WIDTH]
  seen = rng.integers(0, 3, (batch, count, 1))
  return np.concatenate([places, seen], -1).astype(np.float32)


def _inside(points, y, x, radius):
  """Whether the centre of pixel (y, x) is near each of the labelled points."""
  near = np.hypot(points[:, 0] - y - 0.5, points[:, 1] - x - 0.5) <= radius
  return near & (points[:, 2] > 0)


def _plain_heat(logits, points, others, stride, radius):
  total = 0.0
  for scores, person, people in zip(logits.astype(np.float64), points, others):
    for i, row in enumerate(scores):
      for j, values in enumerate(row):
        target = _inside(person, i * stride, j * stride, radius)
        each = np.log1p(np.exp(-np.abs(values))) + np.maximum(values, 0) - values * target
        ignored = np.any([_inside(other, i * stride, j * stride, radius) for other in people], 0) \
            if len(people) else np.zeros(len(target), bool)
        total += each[~(ignored & ~target)].sum()
  return total / (len(logits) * logits.shape[1] * logits.shape[2])


def _plain_offsets(offsets, points, radius):
  total = 0.0
  for field, person in zip(offsets.astype(np.float64), points):
    for y in range(field.shape[0]):
      for x in range(field.shape[1]):
        for k in np.flatnonzero(_inside(person, y, x, radius)):
          error = np.hypot(*(field[y, x, k] - (person[k, :2] - [y + 0.5, x + 0.5])))
          total += 0.5 * error**2 if error <= 1 else error - 0.5
  return total / (len(offsets) * offsets.shape[1] * offsets.shape[2])


@pytest.mark.parametrize("stride,people", [(1, 0), (8, 2), (4, 1)])
def test_heatmap_losses_are_those_of_plain_loops(stride, people):
  rng = np.random.default_rng(stride)
  shape = (2, -(-HEIGHT // stride), -(-WIDTH // stride), COUNT)
  logits, points = rng.normal(0, 2, shape).astype(np.float32), _points(1)
  others = np.stack([_points(10 + i) for i in range(people)], 1) if people else np.zeros(
      (2, 0, COUNT, 3), np.float32)
  found = keypoints.heatmap_loss(tf.constant(logits), tf.constant(points), tf.constant(others),
                                 stride, 9.0)
  assert abs(float(found) - _plain_heat(logits, points, others, stride, 9.0)) < 1e-5
  if people:  # nobody is ignored unless asked for
    bare = keypoints.heatmap_loss(tf.constant(logits), tf.constant(points), None, stride, 9.0)
    assert float(bare) > float(found)


def test_the_person_in_the_centre_is_never_ignored():
  points = np.array([[[20.0, 16.0, 2.0]]], np.float32)
  logits = tf.zeros([1, HEIGHT, WIDTH, 1])
  alone = keypoints.heatmap_loss(logits, points, tf.constant(points)[:, tf.newaxis], 1, 9.0)
  assert abs(float(alone) - np.log(2)) < 1e-6


@pytest.mark.parametrize("spread", [0.3, 30.0])
def test_offset_losses_are_those_of_plain_loops(spread):
  rng, points = np.random.default_rng(0), _points(2, beyond=0.2)
  dy, dx = keypoints.displacements(tf.constant(points), HEIGHT, WIDTH)
  shape = (2, HEIGHT, WIDTH, COUNT)
  right = np.stack([np.broadcast_to(dy, shape), np.broadcast_to(dx, shape)], -1)
  offsets = (right + rng.normal(0, spread, right.shape)).astype(np.float32)
  found = keypoints.offset_loss(tf.constant(offsets), tf.constant(points), 9.0)
  assert abs(float(found) - _plain_offsets(offsets, points, 9.0)) < 1e-4
  assert float(keypoints.offset_loss(tf.constant(right), tf.constant(points), 9.0)) < 1e-8


def test_unlabelled_people_have_no_offset_loss_and_finite_gradients():
  points = _points(3)
  points[..., 2] = 0
  offsets = tf.Variable(tf.zeros([2, HEIGHT, WIDTH, COUNT, 2]))
  with tf.GradientTape() as tape:
    loss = keypoints.offset_loss(offsets, tf.constant(points))
  assert float(loss) == 0 and not np.any(tape.gradient(loss, offsets))
  points[..., 2] = 2
  points[..., :2] = 10.5  # an error of exactly zero
  with tf.GradientTape() as tape:
    loss = keypoints.offset_loss(offsets, tf.constant(points))
  assert np.isfinite(tape.gradient(loss, offsets)).all()


def _plain_votes(heat, offsets, radius):
  height, width, count = heat.shape
  found = np.zeros_like(heat, np.float64)
  for y in range(height):
    for x in range(width):
      for k in range(count):
        at = np.array([y, x]) + offsets[y, x, k].astype(np.float64)
        low = np.floor(at).astype(int)
        for i in (0, 1):
          for j in (0, 1):
            row, column = low + [i, j]
            share = (1 - abs(at[0] - row)) * (1 - abs(at[1] - column))
            if 0 <= row < height and 0 <= column < width:
              found[row, column, k] += heat[y, x, k] * share / (np.pi * radius**2)
  return found


@pytest.mark.parametrize("spread", [0.0, 4.0, 1e6])
def test_votes_are_those_of_a_plain_loop(spread):
  rng = np.random.default_rng(0)
  heat = rng.random((HEIGHT, WIDTH, COUNT)).astype(np.float32)
  offsets = rng.normal(0, spread, (HEIGHT, WIDTH, COUNT, 2)).astype(np.float32)
  found = tf.function(keypoints.votes)(tf.constant(heat), tf.constant(offsets), 9.0)
  np.testing.assert_allclose(found, _plain_votes(heat, offsets, 9.0), atol=1e-6, rtol=1e-4)


def test_places_whose_offsets_are_no_numbers_vote_for_nothing():
  heat, offsets = np.ones((5, 4, 1), np.float32), np.full((5, 4, 1, 2), 99.0, np.float32)
  offsets[0, 0] = offsets[2, 1, 0, 0] = np.nan
  offsets[1, 1] = np.inf
  assert not np.nan_to_num(keypoints.votes(tf.constant(heat), tf.constant(offsets))).any()


@hypothesis.given(st.integers(0, 10**6))
@hypothesis.settings(max_examples=20)
def test_perfect_maps_give_their_points_back(seed):
  rng = np.random.default_rng(seed)
  points = rng.uniform([1.5, 1.5], [HEIGHT - 1.5, WIDTH - 1.5], (1, COUNT, 2))
  points = np.concatenate([points, np.full((1, COUNT, 1), 2)], -1).astype(np.float32)
  shape = (HEIGHT, WIDTH, COUNT)
  dy, dx = keypoints.displacements(tf.constant(points), HEIGHT, WIDTH)
  offsets = tf.stack([tf.broadcast_to(dy[0], shape), tf.broadcast_to(dx[0], shape)], -1)
  heat = tf.cast(keypoints.disks(tf.constant(points), HEIGHT, WIDTH, 1, 9.0)[0], tf.float32)
  maps = keypoints.votes(heat, offsets, 9.0)
  found, scores = keypoints.peaks(maps)
  np.testing.assert_allclose(found, points[0, :, :2], atol=0.01)
  # All votes of the disk go to four pixels, and the best of these is the score.
  assert (scores.numpy() >= 0.24 * maps.numpy().sum((0, 1))).all()
  np.testing.assert_allclose(scores, maps.numpy().max((0, 1)))


def test_a_peak_at_the_edge_stays_in_the_picture():
  maps = np.zeros((5, 4, 2), np.float32)
  maps[0, 3, 0] = maps[4, 0, 1] = 1.0
  found, scores = keypoints.peaks(tf.constant(maps))
  np.testing.assert_allclose(found, [[0.5, 3.5], [4.5, 0.5]])
  np.testing.assert_allclose(scores, [1, 1])
  np.testing.assert_allclose(keypoints.peaks(tf.zeros([5, 4, 1]))[0], [[0.5, 0.5]])
