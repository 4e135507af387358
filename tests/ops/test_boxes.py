"""Overlaps, cuts and codes against loops in NumPy, for any boxes, and against official's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies

from jft_reps.ops import boxes as box_ops
from tests.models import numpy_faster_rcnn as reference

NAN = float("nan")
seeds = strategies.integers(0, 2**32 - 1)


def random_boxes(random, count, size=400.0, shortest=1.0):
  """Corners up to half outside of `[0, size]`, sides from `shortest`."""
  corner = random.uniform(-size / 2, size, [count, 2])
  sides = shortest + random.uniform(0, 1, [count, 2])**2 * size
  return np.concatenate([corner, corner + sides], 1).astype(np.float32)


def some(seed, *counts):
  random = np.random.RandomState(seed)
  return [random_boxes(random, random.randint(1, 9) if c is None else c) for c in counts]


def test_area_and_overlap_of_boxes_one_can_draw():
  a = tf.constant([[0.0, 0.0, 10.0, 20.0], [5.0, 5.0, 5.0, 50.0], [30.0, 30.0, 20.0, 20.0]])
  b = tf.constant([[0.0, 10.0, 10.0, 30.0], [10.0, 0.0, 20.0, 20.0], [2.0, 5.0, 7.0, 15.0]])
  np.testing.assert_array_equal(box_ops.area(a), [200, 0, 0])
  np.testing.assert_allclose(
      box_ops.iou(a, b), [[100 / 300, 0, 50 / 200], [0, 0, 0], [0, 0, 0]], rtol=1e-6)
  np.testing.assert_allclose(box_ops.covered(b, a)[:, 0], [0.5, 0, 1], rtol=1e-6)


@given(seeds)
def test_overlaps_are_those_of_loops(seed):
  a, b = some(seed, None, None)
  np.testing.assert_allclose(box_ops.iou(a, b), reference.iou(a, b), rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(box_ops.covered(a, b), reference.covered(a, b), rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(
      box_ops.intersection(a, b), reference.pairs(reference.common, *map(np.float64, (a, b))),
      rtol=1e-4, atol=1e-2)


@given(seeds, strategies.integers(-300, 300), strategies.integers(1, 8))
def test_overlap_is_symmetric_and_knows_neither_place_nor_scale(seed, shift, factor):
  a, b = some(seed, None, None)
  overlaps = box_ops.iou(a, b).numpy()
  assert (0 <= overlaps).all() and (overlaps <= 1 + 1e-6).all()
  np.testing.assert_array_equal(box_ops.iou(b, a), overlaps.T)
  np.testing.assert_allclose(np.diag(box_ops.iou(a, a)), 1, rtol=1e-6)
  np.testing.assert_allclose(box_ops.iou(a * factor, b * factor), overlaps, rtol=1e-3, atol=1e-5)
  np.testing.assert_allclose(box_ops.iou(a + shift, b + shift), overlaps, rtol=1e-2, atol=1e-4)


def test_boxes_without_area_overlap_nothing_not_even_themselves():
  odd = tf.constant([[3.0, 3.0, 3.0, 9.0], [9.0, 3.0, 3.0, 9.0], [9.0, 9.0, 3.0, 3.0]])
  box = tf.constant([[0.0, 0.0, 20.0, 20.0]])
  for overlaps in (box_ops.iou(odd, odd), box_ops.iou(odd, box), box_ops.iou(box, odd),
                   box_ops.covered(odd, box), box_ops.covered(box, odd)):
    assert not np.any(overlaps)


def test_there_may_be_no_boxes():
  none, box = tf.zeros([0, 4]), tf.constant([[0.0, 0.0, 20.0, 20.0]])
  assert box_ops.iou(none, box).shape == [0, 1] and box_ops.iou(box, none).shape == [1, 0]
  assert box_ops.covered(box, none).shape == [1, 0]
  assert box_ops.inside(none, [5, 5]).shape == box_ops.area(none).shape == [0]
  assert box_ops.encode(none, none).shape == box_ops.decode(none, none).shape == [0, 4]


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_a_box_that_is_no_number_passes_no_threshold(value):
  odd = tf.constant([[0.0, 0.0, value, 20.0], [value] * 4])
  box = tf.constant([[0.0, 0.0, 20.0, 20.0]])
  assert not np.any(box_ops.iou(box, odd) >= 0.3) and not np.any(box_ops.iou(odd, box) >= 0.3)


@given(seeds)
def test_cut_boxes_lie_in_the_picture_and_are_cut_once(seed):
  boxes, = some(seed, 20)
  size = tf.constant([211, 307])
  cut = box_ops.clip(boxes, size)
  np.testing.assert_array_equal(cut, reference.clip(boxes, 211, 307).astype(np.float32))
  np.testing.assert_array_equal(box_ops.clip(cut, size), cut)
  assert np.all(box_ops.inside(cut, size))
  np.testing.assert_array_equal(
      box_ops.inside(boxes, size), reference.inside(boxes, 211, 307))
  unmoved = np.all(cut.numpy() == boxes, 1)
  np.testing.assert_array_equal(box_ops.inside(boxes, size), unmoved)


def test_what_touches_the_border_is_inside():
  boxes = tf.constant([[0, 0, 30, 40], [0, 0, 30.001, 40], [0, 0, 30, 40.001],
                       [-0.001, 0, 30, 40], [0, -0.001, 30, 40], [0, 0, 40, 30]], tf.float32)
  assert box_ops.inside(boxes, tf.constant([30, 40])).numpy().tolist() == [True] + [False] * 5


def test_nan_and_infinite_corners_are_cut_to_boxes_of_the_picture():
  odd = tf.constant([[NAN, NAN, NAN, NAN], [1.0, NAN, 9.0, 9.0],
                     [-float("inf"), 2.0, float("inf"), 9.0]])
  np.testing.assert_array_equal(
      box_ops.clip(odd, tf.constant([30, 40])), [[0, 0, 0, 0], [1, 0, 9, 9], [0, 2, 30, 9]])
  assert not np.any(box_ops.inside(odd, tf.constant([30, 40])))


def test_codes_of_a_box_one_can_draw():
  anchor = tf.constant([[0.0, 0.0, 10.0, 20.0]])  # centre (5, 10)
  box = tf.constant([[7.0, 9.0, 27.0, 19.0]])  # centre (17, 14), twice as high, half as wide
  codes = [10 * 12 / 10, 10 * 4 / 20, 5 * np.log(2), -5 * np.log(2)]
  np.testing.assert_allclose(box_ops.encode(box, anchor), [codes], rtol=1e-6)
  np.testing.assert_allclose(
      box_ops.decode(tf.constant([codes], tf.float32), anchor), box, rtol=1e-6)
  np.testing.assert_allclose(
      box_ops.encode(box, anchor, (1.0, 1.0, 1.0, 1.0)), [np.divide(codes, [10, 10, 5, 5])],
      rtol=1e-6)


@given(seeds)
def test_codes_are_the_reference_s_and_come_back_as_boxes(seed):
  boxes, anchors = some(seed, 12, 12)
  codes = box_ops.encode(boxes, anchors)
  np.testing.assert_allclose(codes, reference.encode(boxes, anchors), rtol=1e-3, atol=1e-3)
  np.testing.assert_allclose(box_ops.decode(codes, anchors), boxes, rtol=1e-3, atol=0.02)
  random = np.random.RandomState(seed).normal(0, 3, [12, 4]).astype(np.float32)
  np.testing.assert_allclose(
      box_ops.decode(random, anchors), reference.decode(random, anchors), rtol=1e-4, atol=0.02)
  np.testing.assert_allclose(box_ops.decode(tf.zeros([12, 4]), anchors), anchors, rtol=1e-4,
                             atol=1e-3)


def test_codes_of_several_classes_share_their_proposal():
  random = np.random.RandomState(3)
  anchors = random_boxes(random, 5)
  codes = random.normal(0, 2, [5, 3, 4]).astype(np.float32)
  found = box_ops.decode(codes, anchors[:, np.newaxis])
  for k in range(3):
    np.testing.assert_allclose(found[:, k], reference.decode(codes[:, k], anchors), rtol=1e-4,
                               atol=0.02)


def test_no_code_leaves_the_numbers_and_no_box_the_code():
  anchors = tf.constant([[0.0, 0.0, 512.0, 724.0]] * 2)
  wild = tf.constant([[0.0, 0.0, 1e4, 1e30], [1e4, -1e4, -1e30, 500.0]])
  cut = box_ops.clip(box_ops.decode(wild, anchors), tf.constant([600, 1024]))
  assert np.isfinite(cut).all()
  np.testing.assert_array_equal(cut[0], [0, 0, 600, 1024])  # larger than any picture
  thin = tf.constant([[3.0, 3.0, 3.0, 9.0], [9.0, 3.0, 3.0, 9.0]])
  assert np.isfinite(box_ops.encode(thin, anchors)).all()
  assert np.isfinite(box_ops.encode(anchors, thin)).all()


def test_official_vision_computes_the_same():
  from official.vision.ops import box_ops as official  # seconds to import

  random = np.random.RandomState(11)
  a, b = random_boxes(random, 40) + 201, random_boxes(random, 40) + 201
  weights = [10.0, 10.0, 5.0, 5.0]
  codes = official.encode_boxes(tf.constant(a), tf.constant(b), weights)
  np.testing.assert_allclose(box_ops.encode(a, b), codes, rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(
      box_ops.iou(a, b), official.bbox_overlap(a[np.newaxis], b[np.newaxis])[0], atol=1e-6)
  np.testing.assert_allclose(
      box_ops.covered(a, b),
      official.bbox_intersection_over_area(a[np.newaxis], b[np.newaxis])[0], atol=1e-6)
  codes = random.normal(0, 3, [40, 4]).astype(np.float32)
  np.testing.assert_allclose(
      box_ops.decode(codes, b), official.decode_boxes(tf.constant(codes), tf.constant(b), weights),
      rtol=1e-5, atol=1e-3)
  np.testing.assert_allclose(box_ops.clip(a, [300, 200]), official.clip_boxes(a, [300, 200]))
