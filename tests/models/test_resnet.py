"""Counts, strides, weight consistency between output strides, stages on their own, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.models import batch_norm, residual_stages, resnet, variables

PLACEMENTS = residual_stages.STRIDE_PLACEMENTS


def tiny(**options) -> resnet.ResNet:
  return resnet.ResNet(**{"depth": 26, "width": 0.125, **options})


def pictures(size: int, batch: int = 1, seed: int = 0) -> tf.Tensor:
  random = np.random.default_rng(seed)
  return tf.constant(random.integers(0, 256, [batch, size, size, 3]), tf.uint8)


def randomise(net: resnet.ResNet) -> None:
  """Norms that neither vanish nor blow up, so that every unit and every offset matters."""
  random = np.random.default_rng(7)
  for path, variable in variables.named_variables(net).items():
    kind = path.rsplit("/", 1)[-1]
    if kind in ("gamma", "moving_variance"):
      variable.assign(random.uniform(0.7, 1.4, variable.shape))
    elif kind in ("beta", "moving_mean"):
      variable.assign(random.normal(0, 0.3, variable.shape))


def same_weights(source: resnet.ResNet, target: resnet.ResNet) -> None:
  values = variables.named_variables(source)
  for path, variable in variables.named_variables(target).items():
    variable.assign(values[path])


def table_of_he(depth: int) -> int:
  """Weights of the convolutions plus two per channel of batch norm, from He et al., table 1."""
  units = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}[depth]
  total, channels = 7 * 7 * 3 * 64 + 2 * 64, 64
  for i, count in enumerate(units):
    base, out = 64 * 2**i, 256 * 2**i
    total += channels * out + 2 * out  # the projection
    for _ in range(count):
      total += channels * base + 9 * base * base + base * out + 2 * (base + base + out)
      channels = out
  return total


@pytest.mark.parametrize("depth,known", [(50, 23_508_032), (101, 42_500_160), (152, 58_143_808)])
def test_parameters_and_shapes_at_299_are_the_published_ones(depth, known):
  with tf.Graph().as_default():
    net = resnet.ResNet(depth)
    shapes = {k: v.shape.as_list() for k, v in net(tf.zeros([2, 299, 299, 3], tf.uint8)).items()}
  count = sum(np.prod(v.shape.as_list()) for v in net.trainable_variables)
  assert count == known == table_of_he(depth)
  assert shapes == {
      "conv1": [2, 150, 150, 64],
      "conv2": [2, 75, 75, 256],
      "conv3": [2, 38, 38, 512],
      "conv4": [2, 19, 19, 1024],
      "conv5": [2, 10, 10, 2048],
  }


# He et al.: conv5 at 32. slim's stages come out one stride later (its block3 at 32).
STRIDES = {
    ("first", 32): [2, 4, 8, 16, 32],
    ("first", 16): [2, 4, 8, 16, 16],
    ("first", 8): [2, 4, 8, 8, 8],
    ("last", 32): [2, 8, 16, 32, 32],
    ("last", 16): [2, 8, 16, 16, 16],
    ("last", 8): [2, 8, 8, 8, 8],
}


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_feature_info_tells_the_truth(placement, output_stride):
  with tf.Graph().as_default():
    net = tiny(stride_placement=placement, output_stride=output_stride)
    features = net(tf.zeros([1, 100, 70, 3], tf.uint8))
  strides = [net.feature_info[stage].stride for stage in resnet.STAGES]
  assert strides == STRIDES[placement.split("_")[0], output_stride]
  for stage, feature in features.items():
    info = net.feature_info[stage]
    assert feature.shape == [1, -(-100 // info.stride), -(-70 // info.stride), info.channels]


@pytest.mark.parametrize("stem,strides", [
    ("small", [2, 2, 4, 8, 16]), ("small_stride_1", [1, 1, 2, 4, 8])
])
def test_small_stems_keep_more_positions(stem, strides):
  with tf.Graph().as_default():
    net = tiny(stem=stem)
    features = net(tf.zeros([1, 64, 64, 3], tf.uint8))
  assert [net.feature_info[stage].stride for stage in resnet.STAGES] == strides
  assert [features[stage].shape[1] for stage in resnet.STAGES] == [64 // s for s in strides]


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("size", [
    64, 65, 97, *(pytest.param(size, marks=pytest.mark.slow) for size in (224, 321, 513))])
def test_features_of_all_output_strides_agree_at_shared_positions(placement, size):
  strided = tiny(stride_placement=placement)
  randomise(strided)
  x = pictures(size)
  expected = strided(x, batch_norm="frozen")
  for output_stride in (8, 16):
    dense = tiny(stride_placement=placement, output_stride=output_stride)
    same_weights(strided, dense)
    features = dense(x, batch_norm="frozen")
    for stage in resnet.STAGES:
      ratio = strided.feature_info[stage].stride // dense.feature_info[stage].stride
      found, right = features[stage][:, ::ratio, ::ratio].numpy(), expected[stage].numpy()
      assert right.std() > 0.1
      np.testing.assert_allclose(found, right, atol=1e-4 * right.std(), rtol=1e-4)


@pytest.mark.parametrize("placement,wrong", [
    ("first_1x1", "first_3x3"), ("first_3x3", "first_1x1")
])
def test_the_rate_of_the_unit_that_lost_its_stride_matters(placement, wrong):
  strided = tiny(stride_placement=placement)
  randomise(strided)
  dense = tiny(stride_placement=placement, output_stride=16)
  same_weights(strided, dense)
  dense.conv5.steps = residual_stages.stage_steps(2, 2, wrong, dilate=True)
  x = pictures(97)
  right = strided(x, batch_norm="frozen")["conv5"].numpy()
  found = dense(x, batch_norm="frozen")["conv5"][:, ::2, ::2].numpy()
  assert np.abs(found - right).max() > 0.1 * right.std()


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_conv5_on_a_crop_equals_conv5_in_the_whole_network(placement):
  net = tiny(stride_placement=placement)
  randomise(net)
  features = net(pictures(24 * net.feature_info["conv4"].stride), batch_norm="frozen")
  whole, conv4 = features["conv5"], features["conv4"]
  np.testing.assert_allclose(net.run_stage("conv5", conv4, "frozen"), whole, atol=1e-5)
  stride = net.feature_info["conv5"].stride // net.feature_info["conv4"].stride
  crop = net.run_stage("conv5", conv4[:, 4:20, 4:20], "frozen")
  reach = 2  # two 3x3 convolutions at the output's stride, or less
  inside = whole[:, 4 // stride + reach : 20 // stride - reach]
  inside = inside[:, :, 4 // stride + reach : 20 // stride - reach]
  np.testing.assert_allclose(crop[:, reach:-reach, reach:-reach], inside, atol=1e-5)


def test_conv5_runs_on_crops_at_stride_one_whatever_the_output_stride():
  strided, dilated = tiny(), tiny(output_stride=8)
  same_weights(strided, dilated)
  crops = tf.random.normal([3, 7, 7, strided.feature_info["conv4"].channels])
  outs = [net.run_stage("conv5", crops, "frozen", stride=1) for net in (strided, dilated)]
  assert outs[0].shape == [3, 7, 7, strided.feature_info["conv5"].channels]
  np.testing.assert_allclose(outs[0], outs[1], atol=1e-6)
  # Stride one at every other position is what stride two would have seen in its first 1x1.
  two = strided.run_stage("conv5", crops[:, ::2, ::2], "frozen", stride=1)
  np.testing.assert_allclose(strided.run_stage("conv5", crops, "frozen"), two, atol=1e-5)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_parameter_gets_a_gradient(placement):
  net = tiny(stride_placement=placement)
  with tf.GradientTape() as tape:
    features = net(pictures(96, batch=4))["conv5"]
    loss = tf.reduce_sum(features * tf.random.normal(features.shape, seed=1))
  gradients = tape.gradient(loss, net.trainable_variables)
  for variable, gradient in zip(net.trainable_variables, gradients, strict=True):
    assert gradient is not None and np.isfinite(gradient).all(), variable.name
    assert np.abs(gradient).max() > 0, variable.name


def test_frozen_stages_pass_no_gradient_and_record_no_statistics():
  net = tiny()
  with tf.GradientTape() as tape, batch_norm.StatisticsTape() as statistics:
    loss = tf.reduce_sum(net(pictures(64, batch=2), frozen_through="conv4")["conv5"] ** 2)
  gradients = zip(net.trainable_variables, tape.gradient(loss, net.trainable_variables))
  reached = {id(variable) for variable, gradient in gradients if gradient is not None}
  assert reached == {id(variable) for variable in net.conv5.trainable_variables}
  moved = {id(variable) for variable, _ in statistics.updates}
  assert moved == {id(variable) for variable in net.conv5.non_trainable_variables}


def test_only_the_stages_asked_for_are_computed():
  net = tiny()
  x = pictures(64)
  with batch_norm.StatisticsTape() as statistics:
    features = net(x, stages=("conv3", "conv1"))
  assert list(features) == ["conv3", "conv1"]
  owners = {id(v) for stage in (net.conv1, net.conv2, net.conv3) for v in stage.variables}
  assert {id(variable) for variable, _ in statistics.updates} < owners
  np.testing.assert_allclose(features["conv3"], net(x)["conv3"], atol=1e-5)


def test_pixels_become_minus_one_to_one():
  x = np.arange(256, dtype=np.uint8).reshape([1, 16, 16, 1]).repeat(3, axis=3)
  exact = x / 127.5 - 1
  np.testing.assert_allclose(tiny().scale(x), exact, atol=1e-6)
  rounded = tf.cast(tiny(compute_dtype="mixed_bfloat16").scale(x), tf.float64)
  np.testing.assert_allclose(rounded, exact, rtol=2**-8)
  np.testing.assert_array_equal(tiny(preprocessing=None).scale(x), x.astype(np.float32))


def test_bfloat16_computes_in_bfloat16_near_the_float32_network():
  exact, half = tiny(), tiny(compute_dtype="mixed_bfloat16")
  randomise(exact)
  same_weights(exact, half)
  x = pictures(64, batch=2)
  found, right = half(x, batch_norm="frozen"), exact(x, batch_norm="frozen")
  assert all(v.dtype == tf.float32 for v in half.variables)
  for stage in resnet.STAGES:
    assert found[stage].dtype == tf.bfloat16
    difference = tf.cast(found[stage], tf.float32) - right[stage]
    assert np.std(difference) < 0.03 * np.std(right[stage])
  crop = half.run_stage("conv5", tf.cast(right["conv4"], tf.float32), "frozen")
  assert crop.dtype == tf.bfloat16


def test_graph_function_and_eager_give_the_same_features():
  net = tiny(stem="small")
  randomise(net)
  x = pictures(32)
  eager = net(x, batch_norm="frozen")["conv5"]
  compiled = tf.function(lambda x: net(x, batch_norm="frozen")["conv5"])(x)
  close = {"rtol": 1e-4, "atol": 1e-5 * np.std(eager)}
  np.testing.assert_allclose(compiled, eager, **close)
  values = {path: v.numpy() for path, v in variables.named_variables(net).items()}
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    again = tiny(stem="small")
    named = variables.named_variables(again)
    assert list(named) == list(values)
    session.run([variable.assign(values[path]) for path, variable in named.items()])
    in_graph = session.run(again(tf.constant(x.numpy()), batch_norm="frozen")["conv5"])
  np.testing.assert_allclose(in_graph, eager, **close)
  np.testing.assert_array_equal(net(x, batch_norm="frozen")["conv5"], eager)


@pytest.mark.parametrize("options,named", [
    ({"depth": 34}, "depth"),
    ({"output_stride": 4}, "output_stride"),
    ({"stride_placement": "caffe"}, "stride_placement"),
    ({"compute_dtype": "float16"}, "compute_dtype"),
    ({"stem": "cifar"}, "stem"),
])
def test_unknown_options_are_errors_that_name_the_choices(options, named):
  with pytest.raises(errors.ConfigError, match=f"{named}.*expected one of"):
    resnet.ResNet(**options)


def test_unknown_stages_are_errors():
  net = tiny()
  for call in (
      lambda: net(pictures(32), stages=("res5",)),
      lambda: net(pictures(32), frozen_through="block3"),
      lambda: net.run_stage("conv1", tf.zeros([1, 8, 8, 3])),
  ):
    with pytest.raises(errors.ConfigError, match="stage"):
      call()
