"""Crops, the shared conv5, the dense variant and detections, each against something else."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.models import faster_rcnn, resnet, variables
from jft_reps.models.region_proposals import Proposals
from tests.models import numpy_faster_rcnn as reference

NAN = float("nan")
HEIGHT, WIDTH, CLASSES = 150, 200, 3
SIZE = tf.constant([HEIGHT, WIDTH])


def picture(height=HEIGHT, width=WIDTH, seed=0) -> tf.Tensor:
  random = np.random.RandomState(seed)
  return tf.constant(random.randint(0, 256, [1, height, width, 3]), tf.uint8)


def tiny(output_stride=16, backbone=(), **options) -> faster_rcnn.FasterRCNN:
  """14 layers of an eighth of the width, every weight a function of its path."""
  net = resnet.ResNet(depth=14, width=0.125, output_stride=output_stride, **dict(backbone))
  model = faster_rcnn.FasterRCNN(net, CLASSES, **options)
  for path, item in variables.named_variables(model).items():
    parts = item.parts if isinstance(item, variables.Slices) else [item]
    shape = item.full_shape if isinstance(item, variables.Slices) else item.shape
    value = weights(path, list(shape))
    assert len(parts) == 1
    parts[0].assign(value)
  return model


def weights(path: str, shape: list[int]) -> np.ndarray:
  random, kind = np.random.RandomState(zlib.crc32(path.encode())), path.rsplit("/", 1)[-1]
  if kind in ("gamma", "moving_variance"):
    return random.uniform(0.7, 1.4, shape)
  if kind != "kernel":
    return random.normal(0, 0.3, shape)
  gain = 2.0 if path.startswith("backbone") else 1.0 if path.startswith("rpn/conv") else 0.1
  return random.normal(0, (gain / np.prod(shape[:-1])) ** 0.5, shape)


def values_of(model) -> dict[str, np.ndarray]:
  """NumPy arrays by path."""
  return {path: (item.parts[0] if isinstance(item, variables.Slices) else item).numpy()
          for path, item in variables.named_variables(model).items()}


def heads(values, hidden):
  """Class logits and box codes of averaged conv5, in NumPy."""
  logits = hidden @ values["classes/kernel"].astype(np.float64) + values["classes/bias"]
  codes = hidden @ values["codes/kernel"].astype(np.float64) + values["codes/bias"]
  return logits, codes.reshape(-1, CLASSES, 4)


@pytest.fixture(scope="module")
def model():
  return tiny()


@pytest.fixture(scope="module")
def conv4(model):
  return model.features(picture())


def boxes_inside(random, count, height=HEIGHT, width=WIDTH):
  corners = random.uniform(0, 1, [count, 2, 2]) * [height, width]
  return np.concatenate([corners.min(1), corners.max(1) + 1e-3], 1).astype(np.float32)


def test_crops_are_bilinear_samples_from_edge_to_edge_then_pooled():
  random = np.random.RandomState(5)
  for rows, columns, height, width in ((10, 13, 150, 200), (7, 3, 101, 45), (1, 6, 16, 90)):
    features = random.normal(0, 1, [1, rows, columns, 6]).astype(np.float32)
    boxes = np.concatenate([boxes_inside(random, 12, height, width), [
        [0, 0, height, width], [height / 2, width / 2, height, width], [3, 3, 3.5, 40]]])
    found = faster_rcnn.crop(tf.constant(features), tf.constant(boxes, tf.float32),
                             tf.constant([height, width]))
    assert found.shape == [15, 7, 7, 6]
    expected = reference.crop_and_pool(features[0], boxes, height, width)
    inside = boxes.max(1) < min(height, width)  # at the far ones samples move by 1e-6
    assert inside.any()
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-5)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_crops_of_a_plane_are_the_plane():
  """Rows 0 to 9 of conv4 span the whole picture: pixel y lies at row 9 · y / height."""
  y, x = np.mgrid[0:10, 0:13].astype(np.float32)
  plane = np.stack([y, -x], -1)[np.newaxis]
  box = np.array([[30, 20, 90, 150]], np.float32)
  at = lambda low, high, size, cells: (low + (high - low) * np.arange(14) / 13) / size * (cells - 1)
  found = faster_rcnn.crop(tf.constant(plane), tf.constant(box), SIZE).numpy()[0]
  np.testing.assert_allclose(found[:, 0, 0], at(30, 90, 150, 10)[1::2], rtol=1e-5)  # max: the last
  np.testing.assert_allclose(found[0, :, 1], -at(20, 150, 200, 13)[::2], rtol=1e-5)  # the first


def test_no_sample_of_a_box_in_the_picture_falls_off_the_map():
  """Rounding alone takes one in forty boxes at the far borders beyond it, where all is 0."""
  random = np.random.RandomState(0)
  boxes = reference.clip(boxes_inside(random, 4000, 800, 1000) - 100, 600, 800)
  boxes = tf.constant(boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])], tf.float32)
  found = faster_rcnn.crop(-tf.ones([1, 38, 50, 1]), boxes, tf.constant([600, 800]))
  assert len(boxes) > 2000
  np.testing.assert_allclose(found, -1, atol=1e-5)


def test_the_classifier_is_conv5_at_stride_1_a_mean_and_two_dense_layers(model, conv4):
  boxes = boxes_inside(np.random.RandomState(1), 9)
  logits, codes = model.classify(conv4, tf.constant(boxes), SIZE)
  crops = reference.crop_and_pool(conv4[0].numpy(), boxes, HEIGHT, WIDTH)
  hidden = model.backbone.run_stage("conv5", tf.constant(crops, tf.float32), "frozen", stride=1)
  assert hidden.shape == [9, 7, 7, 256]
  right_logits, right_codes = heads(values_of(model), hidden.numpy().mean((1, 2)))
  assert right_logits.std() > 0.1 and right_codes.std() > 0.1
  np.testing.assert_allclose(logits, right_logits, atol=1e-4)
  np.testing.assert_allclose(codes, right_codes, atol=1e-4)


def test_every_variable_is_the_backbone_s_or_of_four_new_layers(model):
  paths = values_of(model).keys()
  backbone = {f"backbone/{path}" for path in variables.named_variables(model.backbone)}
  assert set(paths) == backbone | {
      f"{layer}/{kind}" for kind in ("kernel", "bias")
      for layer in ("rpn/conv", "rpn/objectness", "rpn/codes", "classes", "codes")}


def test_new_heads_start_at_the_variance_of_both_fans():
  fresh = faster_rcnn.FasterRCNN(resnet.ResNet(depth=14, width=0.25, output_stride=16), 90)
  values = values_of(fresh)
  for layer, units in (("classes", 91), ("codes", 360)):
    assert values[f"{layer}/kernel"].shape == (512, units) and not values[f"{layer}/bias"].any()
    np.testing.assert_allclose(values[f"{layer}/kernel"].var(), 2 / (512 + units), rtol=0.1)


def test_crops_run_through_the_backbone_s_own_conv5(conv4):
  model = tiny()
  boxes = tf.constant(boxes_inside(np.random.RandomState(1), 3))
  before, _ = model.classify(conv4, boxes, SIZE)
  for path, variable in variables.named_variables(model.backbone.conv5).items():
    variable.assign_add(0.1 * tf.ones_like(variable))
    after, _ = model.classify(conv4, boxes, SIZE)
    assert np.abs(after - before).max() > 1e-6, path
    before = after
  np.testing.assert_array_equal(model.features(picture()), conv4)


def test_the_dense_variant_agrees_with_stride_16_at_shared_positions(conv4, model):
  dense = tiny(output_stride=8, rpn_rate=2)
  features = dense.features(picture())
  assert features.shape == [1, 19, 25, 128] and conv4.shape == [1, 10, 13, 128]
  close = {"rtol": 1e-4, "atol": 1e-4 * np.std(conv4)}
  np.testing.assert_allclose(features[:, ::2, ::2], conv4, **close)
  found = dense.rpn(features, SIZE, training=False)
  right = model.rpn(conv4, SIZE, training=False)
  cut = lambda values: values.numpy().reshape([19, 25, 12, -1])[::2, ::2].reshape(
      [10 * 13 * 12, -1])
  np.testing.assert_allclose(cut(found.anchors), right.anchors, atol=1e-3)
  np.testing.assert_allclose(cut(found.logits), right.logits, atol=1e-3)
  np.testing.assert_allclose(cut(found.codes), right.codes, atol=1e-3)
  np.testing.assert_allclose(
      found.anchors, reference.clip(reference.grid_anchors(19, 25, 8), HEIGHT, WIDTH), atol=1e-3)


def as_found(detections):
  return [detections[name].numpy() for name in ("boxes", "classes", "scores")]


def assert_same_detections(found, expected):
  boxes, classes, scores = as_found(found)
  assert len(scores) == len(expected)
  np.testing.assert_allclose(scores, [d[2] for d in expected], rtol=1e-4)
  np.testing.assert_allclose(boxes, np.reshape([d[0] for d in expected], [-1, 4]), atol=2e-3)
  np.testing.assert_array_equal(classes, [d[1] for d in expected])
  assert classes.dtype == np.int64


@pytest.mark.parametrize("seed", range(4))
def test_detections_are_those_of_brute_force_per_class(seed):
  random = np.random.RandomState(seed)
  boxes = boxes_inside(random, 60)
  logits = random.normal(0, 2, [60, CLASSES + 1]).astype(np.float32)
  codes = random.normal(0, 2, [60, CLASSES, 4]).astype(np.float32)
  limits = faster_rcnn.Suppression(per_class=18, total=45)
  found = faster_rcnn.suppress(*map(tf.constant, (boxes, logits, codes)), SIZE, limits)
  assert_same_detections(
      found, reference.detections(boxes, logits, codes, HEIGHT, WIDTH, 0.6, 18, 45))
  found = faster_rcnn.suppress(*map(tf.constant, (boxes, logits, codes)), SIZE)
  everything = reference.detections(boxes, logits, codes, HEIGHT, WIDTH)
  assert_same_detections(found, everything)
  assert 45 < len(everything) < 180
  assert np.all(reference.inside(found["boxes"].numpy(), HEIGHT, WIDTH))


def test_a_hundred_of_a_class_and_three_hundred_in_all():
  grid = np.array([[12 * i, 12 * j, 12 * i + 9, 12 * j + 9] for i in range(11) for j in range(11)])
  logits = np.random.RandomState(0).normal(0, 1, [121, 5]).astype(np.float32)
  codes = np.zeros([121, 4, 4], np.float32)
  boxes = tf.constant(grid, tf.float32)
  found = faster_rcnn.suppress(boxes, tf.constant(logits), tf.constant(codes), SIZE)
  assert_same_detections(found, reference.detections(grid, logits, codes, HEIGHT, WIDTH))
  assert found["scores"].shape == [300]
  logits[:, 2:] = -30
  found = faster_rcnn.suppress(boxes, tf.constant(logits), tf.constant(codes), SIZE)
  assert np.sum(found["classes"] == 0) == 100


def test_classes_suppress_only_their_own():
  boxes = tf.constant([[10.0, 10.0, 60.0, 60.0], [10.0, 10.0, 60.0, 52.0]])  # IoU 0.84
  logits = tf.constant([[0.0, 2.0, -40.0, -40.0], [0.0, 1.0, 1.5, -40.0]])
  found = faster_rcnn.suppress(
      boxes, logits, tf.zeros([2, CLASSES, 4]), SIZE, faster_rcnn.Suppression(score=1e-6))
  assert found["classes"].numpy().tolist() == [0, 1]
  np.testing.assert_allclose(found["boxes"], boxes, atol=1e-4)
  np.testing.assert_allclose(found["scores"], [np.exp(2) / (1 + np.exp(2)),
                                               np.exp(1.5) / (1 + np.e + np.exp(1.5))], rtol=1e-5)


def test_boxes_beyond_the_picture_and_scores_of_nothing_are_not_detected():
  boxes = tf.constant([[10.0, 10.0, 60.0, 60.0], [20.0, 100.0, 70.0, 150.0]])
  logits = tf.constant([[0.0, 1.0, -200.0, -200.0]] * 2)  # -200: a probability of exactly 0
  codes = np.zeros([2, CLASSES, 4], np.float32)
  codes[0, 0, 0] = -100.0
  found = faster_rcnn.suppress(boxes, logits, tf.constant(codes), SIZE)
  assert_same_detections(found, [([20, 100, 70, 150], 0, np.e / (1 + np.e))])


@pytest.mark.parametrize("part", ["logits", "codes"])
def test_numbers_that_are_none_are_no_detections(part):
  values = {"logits": np.full([4, CLASSES + 1], 0.5, np.float32),
            "codes": np.zeros([4, CLASSES, 4], np.float32)}
  values[part][:2] = NAN
  boxes = tf.constant([[30.0 * i, 5.0, 30.0 * i + 20, 50.0] for i in range(4)])
  found = faster_rcnn.suppress(boxes, *map(tf.constant, values.values()), SIZE)
  assert found["scores"].shape == [2 * CLASSES]
  assert np.isfinite(found["boxes"]).all() and (found["boxes"].numpy()[:, 0] >= 60).all()


def test_inference_of_a_whole_picture_is_that_of_numpy_on_conv4(model, conv4):
  values = values_of(model)
  rpn = {path[4:]: value for path, value in values.items() if path.startswith("rpn/")}
  logits, codes = reference.rpn(conv4[0].numpy(), rpn)
  grid = reference.clip(reference.grid_anchors(10, 13), HEIGHT, WIDTH)
  boxes, _ = reference.proposals(logits, codes, grid, HEIGHT, WIDTH, count=25)
  crops = tf.constant(reference.crop_and_pool(conv4[0].numpy(), boxes, HEIGHT, WIDTH), tf.float32)
  hidden = model.backbone.run_stage("conv5", crops, "frozen", stride=1).numpy().mean((1, 2))
  expected = reference.detections(boxes, *heads(values, hidden), HEIGHT, WIDTH)
  model.proposals = Proposals(25)
  found = model.detect(picture())
  model.proposals = Proposals()
  assert 25 < len(expected) < 75
  boxes, classes, scores = as_found(found)
  np.testing.assert_allclose(scores, [d[2] for d in expected], rtol=1e-3)
  np.testing.assert_allclose(boxes, [d[0] for d in expected], atol=0.05)
  np.testing.assert_array_equal(classes, [d[1] for d in expected])


def test_one_graph_detects_in_pictures_of_any_size_and_where_nothing_is_proposed(model):
  traced = tf.function(model.detect, input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
  for height, width in ((150, 200), (7, 300)):
    found = traced(picture(height, width))
    assert len(found["scores"]) > 3
    assert np.all(reference.inside(found["boxes"].numpy(), height, width))
    assert np.all(np.diff(found["scores"]) <= 0) and np.all(found["scores"] > 0)
  bias = variables.named_variables(model)["rpn/objectness/bias"]
  before = bias.numpy()
  bias.assign(NAN * before)
  found = traced(picture())
  bias.assign(before)
  assert [found[name].shape for name in ("boxes", "classes", "scores")] == [[0, 4], [0], [0]]


def test_graph_function_and_eager_detect_the_same(model):
  found, eager = tf.function(model.detect)(picture(90, 61)), model.detect(picture(90, 61))
  np.testing.assert_array_equal(found["classes"], eager["classes"])
  np.testing.assert_allclose(found["scores"], eager["scores"], rtol=1e-4)
  np.testing.assert_allclose(found["boxes"], eager["boxes"], atol=1e-3)


def test_pictures_come_one_at_a_time(model):
  with pytest.raises(tf.errors.InvalidArgumentError, match="one picture at a time"):
    model.features(tf.zeros([2, 64, 64, 3], tf.uint8))
