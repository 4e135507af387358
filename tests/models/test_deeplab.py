"""DeepLab-ASPP-L: four convolutions added up, all of which learn."""

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.models import deeplab, resnet
from jft_reps.models.variables import named_variables
from jft_reps.ops import score_maps


def _network(rates=deeplab.RATES, classes=5, **more):
  backbone = resnet.ResNet(14, width=0.125, output_stride=8, **more)
  return deeplab.DeepLab(backbone, classes, rates)


def _atrous(x, kernel, bias, rate):
  """Nine shifted products, zeros beyond the edges; `[h, w, in]` to `[h, w, out]`."""
  height, width, _ = x.shape
  padded = np.pad(x.astype(np.float64), [(rate, rate), (rate, rate), (0, 0)])
  out = np.zeros((height, width, kernel.shape[-1])) + bias
  for i in range(3):
    for j in range(3):
      window = padded[i * rate: i * rate + height, j * rate: j * rate + width]
      out += window @ kernel[i, j].astype(np.float64)
  return out


@pytest.mark.parametrize("rates", [(6, 12, 18, 24), (2, 4)])
def test_the_scores_are_the_sum_of_explicit_convolutions(rates):
  model, rng = _network(rates), np.random.default_rng(0)
  for branch in model.branches:
    branch.bias.assign(rng.normal(size=branch.bias.shape))
  channels = model.backbone.feature_info["conv5"].channels
  features = rng.normal(size=(1, 41, 33, channels)).astype(np.float32)
  expected = sum(_atrous(features[0], b.kernel.numpy(), b.bias.numpy(), rate)
                 for b, rate in zip(model.branches, rates))
  np.testing.assert_allclose(model.aspp(tf.constant(features))[0], expected, atol=1e-4)


def test_every_branch_and_every_stage_gets_a_gradient():
  model = _network()
  images = tf.cast(np.random.default_rng(0).integers(0, 256, (2, 225, 225, 3)), tf.uint8)
  mask = tf.cast(np.random.default_rng(1).integers(0, 5, (2, 225, 225)), tf.uint8)
  variables = {name: v for name, v in named_variables(model).items() if v.trainable}
  with tf.GradientTape() as tape:
    loss = score_maps.loss(model(images, batch_norm="train"), mask, model.stride)
  gradients = dict(zip(variables, tape.gradient(loss, list(variables.values()))))
  assert {f"branches/{i}/{part}" for i in range(4) for part in ("kernel", "bias")} < set(gradients)
  for i in range(4):
    taps = np.abs(gradients[f"branches/{i}/kernel"].numpy()).sum((2, 3))
    assert (taps > 0).all(), f"branch {i}: every tap sees a part of 29 x 29 features"
  assert not [name for name, g in gradients.items() if not np.abs(g).sum() > 0]


@pytest.mark.parametrize("size", [(225, 225), (130, 97)])
def test_the_classes_of_a_picture_are_those_of_its_interpolated_scores(size):
  model = _network()
  images = tf.cast(np.random.default_rng(0).integers(0, 256, (1, *size, 3)), tf.uint8)
  scores = model(images)
  assert scores.shape == (1, -(-size[0] // 8), -(-size[1] // 8), 5)
  expected = np.argmax(score_maps.interpolated(
      scores[0], 8, tf.constant(size), tf.constant([50, 75])), -1)
  np.testing.assert_array_equal(model.segment(images, tf.constant([50, 75])), expected)


def test_kernels_start_as_glorot_has_it():
  model = _network(classes=21)
  channels = model.backbone.feature_info["conv5"].channels
  assert [b.rate for b in model.branches] == [6, 12, 18, 24]
  for branch in model.branches:
    assert branch.kernel.shape == [3, 3, channels, 21]
    expected = np.sqrt(2 / (9 * (channels + 21)))
    assert abs(branch.kernel.numpy().std() / expected - 1) < 0.03


def test_scores_are_float32_whatever_the_network_computes_in():
  model = _network(compute_dtype="mixed_bfloat16")
  assert model(tf.zeros([1, 65, 65, 3], tf.uint8)).dtype == tf.float32
