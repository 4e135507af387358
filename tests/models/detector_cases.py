"""Objects, scores and draws that the tests of the losses share."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from jft_reps.models.faster_rcnn_loss import Objects, Sampling
from jft_reps.ops import matching
from tests.models import numpy_faster_rcnn as reference
from tests.models.test_faster_rcnn import (
    HEIGHT,
    WIDTH,
)

NAN = float("nan")
SEED = tf.constant([3, 17], tf.int64)
ALL = Sampling(100_000, 0.5, 100_000, 0.5)  # draws everything, so nothing depends on chance
BOXES = np.array([[18, 34, 84, 94], [38, 108, 124, 150], [90, 30, 140, 128], [8, 100, 70, 170]],
                 np.float32)
KINDS = np.array([2, 0, 1, 1])
CROWD = np.array([False, False, False, True])


def objects(boxes=BOXES, classes=KINDS, crowd=CROWD) -> Objects:
  return Objects(tf.constant(np.reshape(boxes, [-1, 4]), tf.float32),
                 tf.constant(classes, tf.int64), tf.constant(crowd, tf.bool))


NOTHING = objects([], np.zeros([0]), np.zeros([0], bool))


def everything(positive, negative):
  return np.flatnonzero(positive), np.flatnonzero(negative)


def as_drawn(size, fraction, seed):
  """Draws by `matching.sample`, whose own tests are elsewhere."""
  def sample(positive, negative):
    found = matching.sample(tf.constant(positive), tf.constant(negative), size, fraction, seed)
    return [index.numpy() for index in found]
  return sample


def rpn_scores(seed=0):
  random = np.random.RandomState(seed)
  anchors = reference.grid_anchors(10, 13)
  anchors = np.float32(anchors[reference.inside(anchors, HEIGHT, WIDTH)])
  n = len(anchors)
  logits, codes = random.normal(0, 2, [n, 2]), random.normal(0, 2, [n, 4])
  return anchors, logits.astype(np.float32), codes.astype(np.float32)


def assert_same(found, expected, rtol=1e-4):
  assert found.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_allclose(found[name], value, rtol=rtol, atol=1e-6, err_msg=name)
