"""The four losses, part by part, against a transcription of the reference."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.models import faster_rcnn_loss
from jft_reps.models.faster_rcnn_loss import HUANG, Sampling
from jft_reps.models.region_proposals import Scores
from tests.models import numpy_faster_rcnn as reference
from tests.models.detector_cases import (
    ALL,
    BOXES,
    CROWD,
    KINDS,
    NOTHING,
    SEED,
    as_drawn,
    assert_same,
    everything,
    objects,
    rpn_scores,
)
from tests.models.test_faster_rcnn import (
    CLASSES,
    boxes_inside,
)


def test_the_paper_s_counts_are_the_default_and_the_code_s_have_a_name():
  as_pairs = lambda s: [(s.rpn, s.rpn_positive), (s.boxes, s.boxes_positive)]
  assert as_pairs(Sampling()) == [(64, 0.5), (256, 0.25)]
  assert as_pairs(HUANG) == [(256, 0.5), (64, 0.25)]


@pytest.mark.parametrize("crowd", [CROWD, ~CROWD, np.zeros(4, bool)])
@pytest.mark.parametrize("sampling", [ALL, Sampling(), HUANG])
def test_losses_of_anchors_are_the_reference_s(crowd, sampling):
  anchors, logits, codes = rpn_scores()
  sample = everything if sampling is ALL else as_drawn(sampling.rpn, sampling.rpn_positive, SEED)
  expected = reference.rpn_losses(logits, codes, anchors, BOXES, crowd, sample)
  found = faster_rcnn_loss.rpn_losses(
      Scores(*map(tf.constant, (anchors, logits, codes))), objects(crowd=crowd), sampling, SEED)
  assert expected["rpn_box"] > 0.01
  assert_same(found, expected)


def test_losses_of_anchors_are_divided_by_the_anchors_drawn():
  """Two anchors, one object: each number by hand."""
  anchors = tf.constant([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
  logits = tf.constant([[0.0, 1.0], [0.0, 2.0]])
  codes = tf.constant([[0.5, 3.0, 0.0, 0.0], [99.0, 99.0, 99.0, 99.0]])
  one = objects([[0, 0, 10, 10]], [1], [False])
  found = faster_rcnn_loss.rpn_losses(Scores(anchors, logits, codes), one, Sampling(), SEED)
  positive, negative = np.log(1 + np.exp(-1)), np.log(1 + np.exp(2))
  assert_same(found, {"rpn_objectness": (positive + negative) / 2,
                      "rpn_box": (0.5 * 0.5**2 + 3 - 0.5) / 2})


def test_anchors_in_crowds_and_between_the_thresholds_have_neither_loss_nor_gradient():
  anchors, logits, codes = (tf.constant(a) for a in rpn_scores())
  found = reference.assign(anchors.numpy(), BOXES, CROWD, 0.7, 0.3, force=True)
  plain = reference.argmax_match(reference.iou(anchors.numpy(), BOXES[:3]), 0.7, 0.3, True)
  assert ((found == reference.IGNORED) & (plain == reference.BACKGROUND)).sum() > 5
  with tf.GradientTape() as tape:
    tape.watch([logits, codes])
    parts = faster_rcnn_loss.rpn_losses(Scores(anchors, logits, codes), objects(), ALL, SEED)
    total = tf.add_n(list(parts.values()))
  by_logits, by_codes = (
      np.abs(tf.convert_to_tensor(g)).sum(1) for g in tape.gradient(total, [logits, codes]))
  np.testing.assert_array_equal(by_logits > 0, found != reference.IGNORED)
  np.testing.assert_array_equal(by_codes > 0, found >= 0)


def head_outputs(n=40, seed=0):
  """Boxes near objects and elsewhere, with what the reference makes of them, positive first."""
  random = np.random.RandomState(seed)
  near = np.repeat(BOXES, 5, 0) + random.normal(0, 8, [20, 4])
  boxes = np.concatenate([near, boxes_inside(random, n - 20)])
  found = reference.assign(boxes, BOXES, CROWD, 0.5, 0.5)
  order = np.concatenate([np.flatnonzero(found >= 0), np.flatnonzero(found == -1)])
  boxes, found = np.float32(boxes[order]), found[order]
  logits = random.normal(0, 2, [len(boxes), CLASSES + 1]).astype(np.float32)
  codes = random.normal(0, 2, [len(boxes), CLASSES, 4]).astype(np.float32)
  return boxes, found, logits, codes


def head_losses(boxes, found, logits, codes):
  own = found[found >= 0]
  return faster_rcnn_loss.head_losses(
      *map(tf.constant, (logits, codes, boxes, BOXES[own], KINDS[own])))


def test_losses_of_boxes_are_the_reference_s():
  boxes, found, logits, codes = head_outputs()
  assert 5 < (found >= 0).sum() < 20 and set(found) == {-1, 0, 1, 2}
  expected = reference.head_losses(logits, codes, boxes, found, BOXES, KINDS)
  assert_same(head_losses(boxes, found, logits, codes), expected)


def test_only_the_box_of_the_own_class_learns():
  boxes, found, logits, codes = head_outputs()
  codes = tf.constant(codes)
  with tf.GradientTape() as tape:
    tape.watch(codes)
    parts = head_losses(boxes, found, logits, codes)
  moved = np.abs(tape.gradient(parts["head_box"], codes)).sum(-1) > 0
  expected = np.zeros_like(moved)
  positive = np.flatnonzero(found >= 0)
  expected[positive, KINDS[found[positive]]] = True
  np.testing.assert_array_equal(moved, expected)


def test_losses_of_boxes_are_divided_by_the_boxes_drawn_and_background_is_class_0():
  boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
  logits = np.array([[0, 0, 1, 0], [2, 0, 0, 0]], np.float32)
  codes = np.full([2, CLASSES, 4], 77.0, np.float32)
  codes[0, 1] = [0.5, 3, 0, 0]
  found = faster_rcnn_loss.head_losses(
      *map(tf.constant, (logits, codes, boxes, boxes[:1], np.array([1]))))
  positive, negative = np.log(3 + np.e) - 1, np.log(3 + np.exp(2)) - 2
  assert_same(found, {"head_class": (positive + negative) / 2,
                      "head_box": (0.5 * 0.5**2 + 3 - 0.5) / 2})


def test_without_objects_only_background_is_learned():
  boxes, _, logits, codes = head_outputs()
  none = np.full(len(boxes), -1)
  expected = reference.head_losses(logits, codes, boxes, none, BOXES, KINDS)
  assert_same(head_losses(boxes, none, logits, codes), expected)
  assert expected["head_box"] == 0
  anchors, logits, codes = rpn_scores()
  found = faster_rcnn_loss.rpn_losses(
      Scores(*map(tf.constant, (anchors, logits, codes))), NOTHING, ALL, SEED)
  background = reference.cross_entropy(logits, np.zeros(len(logits), int)).mean()
  assert_same(found, {"rpn_objectness": background, "rpn_box": 0.0})


def test_without_anchors_and_without_boxes_the_losses_are_0():
  none = Scores(tf.zeros([0, 4]), tf.zeros([0, 2]), tf.zeros([0, 4]))
  for what in (objects(), NOTHING):
    found = faster_rcnn_loss.rpn_losses(none, what, Sampling(), SEED)
    assert_same(found, {"rpn_objectness": 0.0, "rpn_box": 0.0})
  found = faster_rcnn_loss.head_losses(
      tf.zeros([0, CLASSES + 1]), tf.zeros([0, CLASSES, 4]), tf.zeros([0, 4]), tf.zeros([0, 4]),
      tf.zeros([0], tf.int64))
  assert_same(found, {"head_class": 0.0, "head_box": 0.0})
