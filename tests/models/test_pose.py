"""The pose network: maps whose corners are the crop's, a tap inside conv4, losses that add up."""

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import ConfigError
from jft_reps.models import pose, resnet
from jft_reps.models.variables import named_variables
from jft_reps.ops import keypoints

HEIGHT, WIDTH, COUNT = 65, 49, 3


def _network(**more):
  backbone = resnet.ResNet(26, width=0.125, output_stride=8)
  return pose.PoseNetwork(backbone, COUNT, **{"intermediate_unit": 1, **more})


def _crops(batch=2):
  rng = np.random.default_rng(0)
  return tf.constant(rng.integers(0, 256, (batch, HEIGHT, WIDTH, 3)), tf.uint8)


def _points(seed, *shape):
  rng = np.random.default_rng(seed)
  places = rng.uniform(0, 1, (*shape, 2)) * [HEIGHT, WIDTH]
  return np.concatenate([places, rng.integers(0, 3, (*shape, 1))], -1).astype(np.float32)


def _upsampled(small, stride):
  """Bilinear, value i of the map at pixel stride · i."""
  for axis in (1, 2):
    n = small.shape[axis]
    at = np.arange((n - 1) * stride + 1) / stride
    low = np.minimum(at.astype(int), n - 2)
    weight = (at - low).reshape([-1 if i == axis else 1 for i in range(small.ndim)])
    small = small.take(low, axis) * (1 - weight) + small.take(low + 1, axis) * weight
  return small


def test_maps_are_the_heads_outputs_upsampled_from_every_eighth_pixel():
  model = _network()
  model.head.bias.assign(np.random.default_rng(1).normal(size=3 * COUNT))
  maps = model(_crops(), training=True)
  small = model.head(model.backbone(_crops(), batch_norm="frozen")["conv5"]).numpy()
  assert small.shape == (2, 9, 7, 3 * COUNT)
  expected = _upsampled(small.astype(np.float64), 8)
  np.testing.assert_allclose(maps.heat, expected[..., :COUNT], atol=1e-5)
  for k in range(COUNT):
    np.testing.assert_allclose(maps.offsets[..., k, 0], expected[..., COUNT + 2 * k], atol=1e-5)
    np.testing.assert_allclose(maps.offsets[..., k, 1], expected[..., COUNT + 2 * k + 1], atol=1e-5)


@pytest.mark.parametrize("unit", [1, 2])
def test_the_intermediate_heatmap_reads_its_unit_of_conv4(unit):
  model = _network(intermediate_unit=unit)
  features = model.backbone(_crops(), batch_norm="frozen", stages=("conv3",))["conv3"]
  seen = list(model.backbone.conv4.units(features, "frozen"))[unit - 1]
  np.testing.assert_allclose(model(_crops(), training=True).intermediate,
                             model.intermediate(seen), atol=1e-5)
  assert model(_crops()).intermediate is None
  assert _network(intermediate_unit=None)(_crops(), training=True).intermediate is None


def test_the_loss_is_four_heatmaps_to_one_offset_and_background_people_count_at_the_end():
  model = _network()
  maps = model(_crops(), training=True)
  points, others = tf.constant(_points(1, 2, COUNT)), tf.constant(_points(2, 2, 4, COUNT))
  total, parts = pose.loss(maps, points, others, model.intermediate_stride, radius=9.0)
  expected = {
      "loss/heatmap": 4 * keypoints.heatmap_loss(maps.heat, points, radius=9.0),
      "loss/offsets": keypoints.offset_loss(maps.offsets, points, 9.0),
      "loss/intermediate": 4 * keypoints.heatmap_loss(
          maps.intermediate, points, others, 8, 9.0)}
  assert set(parts) == set(expected)
  for name, value in expected.items():
    np.testing.assert_allclose(parts[name], value, rtol=1e-6)
  np.testing.assert_allclose(total, sum(map(float, expected.values())), rtol=1e-6)
  alone, bare = pose.loss(maps, points, others[:, :0], 8, radius=9.0)
  assert float(bare["loss/heatmap"]) == float(parts["loss/heatmap"])
  assert float(bare["loss/intermediate"]) > float(parts["loss/intermediate"])
  del alone


def test_every_variable_gets_a_gradient():
  model = _network()
  variables = {name: v for name, v in named_variables(model).items() if v.trainable}
  points = _points(1, 2, COUNT)
  points[..., 2] = 2
  with tf.GradientTape() as tape:
    maps = model(_crops(), batch_norm="train", training=True)
    total, _ = pose.loss(maps, tf.constant(points), tf.zeros([2, 0, COUNT, 3]), 8, radius=9.0)
  gradients = dict(zip(variables, tape.gradient(total, list(variables.values()))))
  assert {"head/kernel", "head/bias", "intermediate/kernel"} < set(gradients)
  assert not [n for n, g in gradients.items() if g is None or not np.abs(g).sum() > 0]


def test_poses_are_the_peaks_of_each_crops_votes():
  model = _network(radius=9.0)
  model.head.bias.assign(np.random.default_rng(1).normal(0, 5, 3 * COUNT))
  maps = model(_crops())
  points, scores = tf.function(model.poses)(_crops())
  assert points.shape == (2, COUNT, 2) and scores.shape == (2, COUNT)
  for i in range(2):
    votes = keypoints.votes(tf.sigmoid(maps.heat[i]), maps.offsets[i], 9.0)
    expected, best = keypoints.peaks(votes)
    np.testing.assert_allclose(points[i], expected, atol=1e-2)
    np.testing.assert_allclose(scores[i], best, rtol=1e-4)


def test_crops_and_units_that_do_not_fit_are_refused():
  with pytest.raises(ConfigError, match="64x49; expected sides that are multiples of 8 plus 1"):
    _network()(tf.zeros([1, 64, 49, 3], tf.uint8))
  with pytest.raises(ConfigError, match="intermediate_unit: 3; expected 1 to 2"):
    _network(intermediate_unit=3)
