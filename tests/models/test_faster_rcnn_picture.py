"""The loss of a whole picture: what it is, what learns by it, and what it survives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.models import batch_norm, faster_rcnn_loss, variables
from jft_reps.models.faster_rcnn_loss import Objects, Sampling, Weights
from tests.models import numpy_faster_rcnn as reference
from tests.models.detector_cases import (
    ALL,
    BOXES,
    CROWD,
    KINDS,
    NAN,
    NOTHING,
    SEED,
    as_drawn,
    assert_same,
    everything,
    objects,
    rpn_scores,
)
from tests.models.test_faster_rcnn import (
    HEIGHT,
    WIDTH,
    heads,
    picture,
    tiny,
    values_of,
)


@pytest.fixture(scope="module")
def model():
  return tiny()


def written_down(model, sampling, crowd=CROWD):
  """The four losses of the test picture in NumPy, from conv4 on; conv5 alone is TensorFlow's."""
  values = values_of(model)
  conv4 = model.features(picture())
  features = conv4[0].numpy()
  rpn = {path[4:]: value for path, value in values.items() if path.startswith("rpn/")}
  logits, codes = reference.rpn(features, rpn)
  anchors = reference.grid_anchors(*features.shape[:2])
  keep = reference.inside(anchors, HEIGHT, WIDTH)
  anchors, logits, codes = anchors[keep], logits[keep], codes[keep]
  first = second = everything
  if sampling is not ALL:
    first = as_drawn(sampling.rpn, sampling.rpn_positive, SEED)
    second = as_drawn(sampling.boxes, sampling.boxes_positive, SEED + 1)
  parts = reference.rpn_losses(logits, codes, anchors, BOXES, crowd, first)
  proposals, _ = reference.proposals(logits, codes, anchors, HEIGHT, WIDTH)
  found = reference.assign(proposals, BOXES, crowd, 0.5, 0.5)
  drawn = np.concatenate(second(found >= 0, found == reference.BACKGROUND))
  boxes, found = proposals[drawn], found[drawn]
  crops = tf.constant(reference.crop_and_pool(features, boxes, HEIGHT, WIDTH), tf.float32)
  hidden = model.backbone.run_stage("conv5", crops, "frozen", stride=1).numpy().mean((1, 2))
  return parts | reference.head_losses(*heads(values, hidden), boxes, found, BOXES, KINDS)


# Unweighted. Whoever changes one of them changes what the network computes.
GOLDEN = {
    "all": {"rpn_objectness": 0.610291, "rpn_box": 0.0893452,
            "head_class": 0.714340, "head_box": 1.714765},
    "few": {"rpn_objectness": 0.655800, "rpn_box": 0.223363,
            "head_class": 1.125971, "head_box": 2.981263},
}


@pytest.mark.parametrize("name,sampling", [("all", ALL), ("few", Sampling(24, 0.5, 40, 0.25))])
def test_the_loss_of_a_picture_is_the_reference_s_and_stays_what_it_was(model, name, sampling):
  total, parts = faster_rcnn_loss.loss(model, picture(), objects(), SEED, sampling)
  weights = {"rpn_objectness": 1, "rpn_box": 2, "head_class": 1, "head_box": 2}
  expected = written_down(model, sampling)
  assert_same(parts, {f"loss/{part}": weights[part] * expected[part] for part in weights}, 1e-4)
  np.testing.assert_allclose(total, sum(weights[k] * expected[k] for k in weights), rtol=1e-4)
  assert_same(parts, {f"loss/{k}": weights[k] * GOLDEN[name][k] for k in weights}, 1e-4)


def test_weights_scale_the_parts(model):
  run = lambda weights: faster_rcnn_loss.loss(
      model, picture(), objects(), SEED, weights=weights)
  _, parts = run(Weights(1.0, 1.0, 1.0, 1.0))
  total, scaled = run(Weights(3.0, 5.0, 7.0, 11.0))
  factors = dict(zip(("rpn_objectness", "rpn_box", "head_class", "head_box"), (3, 5, 7, 11)))
  assert_same(scaled, {f"loss/{k}": factor * parts[f"loss/{k}"] for k, factor in factors.items()})
  np.testing.assert_allclose(total, sum(scaled.values()), rtol=1e-5)


def test_the_draw_is_a_function_of_the_seed(model):
  few = Sampling(8, 0.5, 8, 0.25)
  run = lambda *seed: [float(v) for v in faster_rcnn_loss.loss(
      model, picture(), objects(), tf.constant(seed, tf.int64), few)[1].values()]
  assert run(1, 2) == run(1, 2)
  assert all(a != b for a, b in zip(run(1, 2)[::2], run(1, 3)[::2]))


def gradients(model, what=None, image=None, **options):
  """The loss and the gradients that are there, by path."""
  items = variables.trainable_variables(model)
  trained = {path: v.parts[0] if isinstance(v, variables.Slices) else v
             for path, v in items.items()}
  with tf.GradientTape() as tape, batch_norm.StatisticsTape() as statistics:
    total, _ = faster_rcnn_loss.loss(model, picture() if image is None else image,
                                     objects() if what is None else what, SEED, **options)
  found = tape.gradient(total, trained)
  return total, {path: g.numpy() for path, g in found.items() if g is not None}, statistics


def test_every_parameter_learns(model):
  total, found, statistics = gradients(model)
  assert np.isfinite(total) and found.keys() == variables.trainable_variables(model).keys()
  for path, gradient in found.items():
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path
  assert not statistics.changes  # frozen batch-norm


def test_frozen_before_conv5_all_but_conv1_to_conv4_learn(model):
  _, free, _ = gradients(model)
  total, found, statistics = gradients(model, frozen_through="conv4", batch_norm="train")
  frozen = tuple(f"backbone/conv{i}/" for i in (1, 2, 3, 4))
  assert found.keys() == {path for path in free if not path.startswith(frozen)}
  assert any(path.startswith("backbone/conv5/") for path in found)
  assert all(np.abs(gradient).max() > 0 for gradient in found.values())
  moved = {id(variable) for variable, _ in statistics.updates}
  assert moved == {id(v) for v in model.backbone.conv5.non_trainable_variables}


def test_nothing_the_classifier_loses_reaches_the_proposals(model):
  only_head = Weights(0.0, 0.0, 1.0, 2.0)
  _, found, _ = gradients(model, weights=only_head)
  rpn = [gradient for path, gradient in found.items() if path.startswith("rpn/")]
  assert not any(np.any(gradient) for gradient in rpn)
  assert np.any(found["backbone/conv1/conv/kernel"] if "backbone/conv1/conv/kernel" in found
                else next(g for p, g in found.items() if p.startswith("backbone/conv1/")))


@pytest.mark.parametrize("what", [NOTHING, objects(crowd=np.ones(4, bool))], ids=["none", "crowds"])
def test_pictures_without_objects_and_with_crowds_only_have_finite_losses(model, what):
  total, found, _ = gradients(model, what)
  assert np.isfinite(total) and all(np.isfinite(g).all() for g in found.values())
  _, parts = faster_rcnn_loss.loss(model, picture(), what, SEED)
  assert parts["loss/rpn_box"] == parts["loss/head_box"] == 0
  assert parts["loss/rpn_objectness"] > 0 and parts["loss/head_class"] > 0
  assert not np.any(found["codes/kernel"]) and not np.any(found["rpn/codes/kernel"])


def test_a_crowd_as_large_as_the_picture_leaves_nothing_to_learn(model):
  crowd = objects([[0, 0, HEIGHT, WIDTH]], [0], [True])
  total, found, _ = gradients(model, crowd)
  assert total == 0 and not any(np.any(g) for g in found.values())


@pytest.mark.parametrize("height,width", [(40, 40), (1, 1), (17, 500)])
def test_pictures_that_no_anchor_fits_into_have_a_finite_loss(model, height, width):
  what = objects([[0, 0, height / 2, width / 2]], [1], [False])
  total, found, _ = gradients(model, what, picture(height, width))
  assert np.isfinite(total) and all(np.isfinite(g).all() for g in found.values())


BAD = {"zero area": [30, 30, 30, 80], "swapped": [90, 90, 30, 30], "outside": [200, 300, 290, 400],
       "nan": [NAN, 10, 50, 50], "infinite": [0, 0, float("inf"), 50]}


@pytest.mark.parametrize("kind", BAD)
def test_a_box_that_is_none_leaves_the_loss_finite(model, kind):
  what = objects([BAD[kind], BOXES[0]], [1, 2], [False, False])
  total, found, _ = gradients(model, what)
  assert np.isfinite(total) and all(np.isfinite(g).all() for g in found.values())


@pytest.mark.parametrize("kind", [
    "zero area", "swapped", "outside", "infinite", "nan"])
def test_a_box_that_is_none_takes_nothing_from_the_others(kind):
  anchors, _, _ = rpn_scores()
  found = objects([BAD[kind], BOXES[0]], [1, 2], [False, False]).assign(
      tf.constant(anchors), 0.7, 0.3, force=True)
  alone = objects([BOXES[0]], [2], [False]).assign(tf.constant(anchors), 0.7, 0.3, force=True)
  np.testing.assert_array_equal(found, np.where(alone == 0, 1, alone))


def test_one_graph_serves_every_picture_with_any_number_of_objects(model):
  @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8),
                                tf.TensorSpec([None, 4]), tf.TensorSpec([None], tf.int64),
                                tf.TensorSpec([None], tf.bool)])
  def run(image, boxes, classes, crowd):
    return faster_rcnn_loss.loss(model, image, Objects(boxes, classes, crowd), SEED, ALL)[1]

  for image, what in ((picture(), objects()), (picture(), NOTHING), (picture(40, 30), objects())):
    parts = run(image, what.boxes, what.classes, what.crowd)
    assert_same(parts, faster_rcnn_loss.loss(model, image, what, SEED, ALL)[1], 2e-3)
