"""The region proposal network in NumPy, which anchors it keeps, and which boxes it proposes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.models import region_proposals, variables
from jft_reps.models.region_proposals import Proposals, Scores
from jft_reps.ops import anchors as anchors_lib
from tests.models import numpy_faster_rcnn as reference

NAN = float("nan")
SIZE = tf.constant([150, 200])


def network(rate=1, stride=16, channels=5, depth=9):
  net = region_proposals.RegionProposalNetwork(
      channels, stride, anchors_lib.AnchorGrid(), depth=depth, rate=rate)
  random = np.random.RandomState(1)
  for path, variable in variables.named_variables(net).items():
    size = 3.0 if path == "conv/kernel" else 1.0
    variable.assign(random.normal(0, size * np.prod(variable.shape[:-1]) ** -0.5, variable.shape))
  return net, {path: v.numpy() for path, v in variables.named_variables(net).items()}


def conv4(rows, columns, channels=5):
  return np.random.RandomState(2).uniform(0, 4, [1, rows, columns, channels]).astype(np.float32)


@pytest.mark.parametrize("rate,stride", [(1, 16), (2, 8)])
def test_scores_are_those_of_the_network_written_down(rate, stride):
  net, values = network(rate, stride)
  features = conv4(10, 13)
  hidden = reference.convolve(features[0], values["conv/kernel"], values["conv/bias"], rate)
  assert (hidden < 0).mean() > 0.1 and (hidden > 6).mean() > 0.05  # both ends of ReLU6 matter
  found = net(tf.constant(features), SIZE, training=False)
  logits, codes = reference.rpn(features[0], values, rate)
  np.testing.assert_allclose(found.logits, logits, atol=1e-4)
  np.testing.assert_allclose(found.codes, codes, atol=1e-4)
  grid = reference.clip(reference.grid_anchors(10, 13, stride), 150, 200)
  np.testing.assert_allclose(found.anchors, grid, atol=1e-3)


def test_training_drops_anchors_that_leave_the_picture_and_what_was_said_of_them():
  net, values = network()
  features = conv4(10, 13)
  logits, codes = reference.rpn(features[0], values)
  grid = reference.grid_anchors(10, 13)
  keep = reference.inside(grid, 150, 200)
  found = net(tf.constant(features), SIZE, training=True)
  assert 0 < keep.sum() < len(keep) / 4
  np.testing.assert_allclose(found.anchors, grid[keep], atol=1e-3)
  np.testing.assert_allclose(found.logits, logits[keep], atol=1e-4)
  np.testing.assert_allclose(found.codes, codes[keep], atol=1e-4)


def test_an_anchor_that_touches_the_border_is_trained():
  net, _ = network()
  found = net(tf.constant(conv4(5, 5)), tf.constant([64, 64]), training=True)
  np.testing.assert_allclose(found.anchors, [[0, 0, 64, 64]])
  assert found.logits.shape == [1, 2] and found.codes.shape == [1, 4]


def test_bfloat16_features_give_float32_scores():
  net, _ = network()
  exact = net(tf.constant(conv4(4, 4)), SIZE, training=False)
  found = net(tf.cast(conv4(4, 4), tf.bfloat16), SIZE, training=False)
  assert found.logits.dtype == found.codes.dtype == tf.float32
  assert np.std(found.logits - exact.logits) < 0.03 * np.std(exact.logits)


def test_it_starts_from_small_noise_without_bias():
  net = region_proposals.RegionProposalNetwork(64, 16, anchors_lib.AnchorGrid())
  values = variables.named_variables(net)
  assert {path: tuple(v.shape) for path, v in values.items()} == {
      "conv/kernel": (3, 3, 64, 512), "conv/bias": (512,),
      "objectness/kernel": (1, 1, 512, 24), "objectness/bias": (24,),
      "codes/kernel": (1, 1, 512, 48), "codes/bias": (48,)}
  for path, value in values.items():
    value = value.numpy()
    if path.endswith("bias"):
      assert not value.any()
    else:
      assert abs(value.mean()) < 1e-3 and 0.0080 < value.std() < 0.0095
      assert np.abs(value).max() < 0.024  # cut at two sigma


def scores(boxes, objectness, codes=None):
  """Of anchors that are the boxes; `objectness` is the log odds."""
  boxes = tf.constant(boxes, tf.float32)
  logits = tf.stack([tf.zeros([len(objectness)]), tf.constant(objectness, tf.float32)], 1)
  codes = tf.zeros([len(objectness), 4]) if codes is None else tf.constant(codes, tf.float32)
  return Scores(boxes, logits, codes)


@pytest.mark.parametrize("seed", range(4))
def test_proposals_are_decoded_cut_and_suppressed_as_by_brute_force(seed):
  random = np.random.RandomState(seed)
  grid = reference.grid_anchors(6, 6)[random.permutation(432)[:200]]
  logits, codes = random.normal(0, 2, [200, 2]), random.normal(0, 2, [200, 4])
  expected, _ = reference.proposals(logits, codes, grid, 150, 200, count=40)
  found = region_proposals.propose(
      Scores(*(tf.constant(a, tf.float32) for a in (grid, logits, codes))), SIZE, Proposals(40))
  np.testing.assert_allclose(found, expected, atol=2e-3)
  everything, _ = reference.proposals(logits, codes, grid, 150, 200)
  assert 40 < len(everything) < 200  # so both limits were at work


def test_of_two_boxes_beyond_an_overlap_of_seven_tenths_the_worse_goes():
  near, far = [10, 10, 110, 85], [10, 10, 110, 65]  # IoU 0.75 and 0.55 with the first
  boxes = [[10, 10, 110, 110], near, far]
  kept = region_proposals.propose(scores(boxes, [1, 2, 3]), SIZE)
  np.testing.assert_allclose(kept, [far, boxes[0]], atol=1e-4)  # 0.73 of far and near
  kept = region_proposals.propose(scores(boxes, [3, 2, 1]), SIZE)
  np.testing.assert_allclose(kept, [boxes[0], far], atol=1e-4)
  kept = region_proposals.propose(scores(boxes, [3, 2, 1]), SIZE, Proposals(iou=0.5))
  np.testing.assert_allclose(kept, boxes[:1], atol=1e-4)


def test_the_best_300_are_proposed_best_first():
  boxes = np.array([[5 * i, 10 * j, 5 * i + 4, 10 * j + 9] for i in range(20) for j in range(20)])
  order = np.random.RandomState(0).permutation(400)
  objectness = np.empty(400)
  objectness[order] = np.linspace(3, -3, 400)
  found = region_proposals.propose(scores(boxes, objectness), SIZE)
  np.testing.assert_allclose(found, boxes[order[:300]], atol=1e-3)


def test_boxes_without_area_in_the_picture_and_numbers_that_are_none_propose_nothing():
  boxes = [[0, 0, 50, 50]] * 6 + [[0, 190, 50, 230]]
  codes = np.zeros([7, 4])
  codes[0, 0], codes[1, 1] = 100.0, -100.0  # ten sides away
  codes[2, 2], codes[3, 0] = NAN, NAN
  objectness = [5, 5, 5, 5, NAN, 1, 0]
  found = region_proposals.propose(scores(boxes, objectness, codes), SIZE)
  np.testing.assert_allclose(found, [[0, 0, 50, 50], [0, 190, 50, 200]], atol=1e-4)


def test_without_anchors_nothing_is_proposed():
  found = region_proposals.propose(scores(np.zeros([0, 4]), []), SIZE)
  assert found.shape == [0, 4]


def test_no_gradient_flows_through_proposals():
  random = np.random.RandomState(0)
  grid = tf.constant(reference.grid_anchors(4, 4)[:60], tf.float32)
  logits, codes = (tf.constant(random.normal(0, 1, [60, k]), tf.float32) for k in (2, 4))
  with tf.GradientTape() as tape:
    tape.watch([logits, codes, grid])
    total = tf.reduce_sum(region_proposals.propose(Scores(grid, logits, codes), SIZE) ** 2)
  assert float(total) > 0 and tape.gradient(total, [logits, codes, grid]) == [None] * 3
