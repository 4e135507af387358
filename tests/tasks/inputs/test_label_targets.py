"""What a picture is an example of: verified negatives, confident labels, noise, fewer classes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.reading.label_noise import LabelNoise
from jft_reps.errors import ConfigError
from jft_reps.tasks.inputs.label_targets import LabelTargets

#      animal(0) -> dog(1) -> poodle(2); animal -> cat(3); thing(4) -> car(5)
IDS = ["animal", "dog", "poodle", "cat", "thing", "car"]
TREE = Hierarchy(IDS, [("dog", "animal"), ("poodle", "dog"), ("cat", "animal"), ("car", "thing")])


def batch(labels, confidence=None, **lists):
  width = 4
  pad = lambda rows, fill: np.array(
      [list(r) + [fill] * (width - len(r)) for r in rows])
  confidence = confidence or [[1.0] * len(row) for row in labels]
  lists = {"labels": labels, **{k: lists.get(k, [()] * len(labels)) for k in ("unknown", "absent")}}
  return {**{k: tf.constant(pad(v, -1), tf.int64) for k, v in lists.items()},
          "confidence": tf.constant(pad(confidence, 0.0), tf.float32),
          "id": tf.constant([f"p{i}" for i in range(len(labels))])}


def made(**arguments):
  return LabelTargets(len(IDS), TREE.closure(), **arguments)


def test_verified_negatives_are_absent_classes_and_all_below_them():
  found = made(negatives="verified").training(batch(
      [(3,), (2,), ()], absent=[(1,), (0, 4), ()], unknown=[(5,), (), ()]))
  np.testing.assert_array_equal(
      found["targets"], [[1, 0, 0, 1, 0, 0], [1, 1, 1, 0, 0, 0], [0] * 6])
  # A cat and no dog, so no poodle; a poodle is an animal, whatever the record says; nothing.
  np.testing.assert_array_equal(
      found["unknown_targets"], [[0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0], [1] * 6])
  assert found["targets"].dtype == found["unknown_targets"].dtype == tf.uint8


def test_all_others_are_negative_in_the_papers_way():
  pictures = batch([(3,)], absent=[(1,)], unknown=[(4,)])
  for found in (made().training(pictures), made(negatives="verified").evaluation(pictures)):
    np.testing.assert_array_equal(found["targets"], [[1, 0, 0, 1, 0, 0]])
    np.testing.assert_array_equal(found["unknown_targets"], [[0, 0, 0, 0, 1, 1]])
  del pictures["absent"]
  made().training(pictures)


def test_labels_below_the_confidence_are_not_given():
  pictures = batch([(2, 5), (3, 1)], confidence=[(0.3, 0.31), (0.0, 1.0)])
  above = made(min_confidence=0.3)
  np.testing.assert_array_equal(
      above.training(pictures)["targets"], [[1, 1, 1, 0, 1, 1], [1, 1, 0, 0, 0, 0]])
  np.testing.assert_array_equal(
      made(min_confidence=1.0).training(pictures)["targets"], [[0] * 6, [1, 1, 0, 0, 0, 0]])
  for whole in (made().training(pictures), above.evaluation(pictures)):
    np.testing.assert_array_equal(whole["targets"], [[1, 1, 1, 0, 1, 1], [1, 1, 0, 1, 0, 0]])


def test_ancestors_are_those_of_noisy_labels_and_evaluation_is_clean():
  labels = [(i % 6,) for i in range(60)]
  arguments = {"wrong": 0.4, "missing": 0.2, "seed": 7}
  targets = made(noise=arguments)
  noisy = LabelNoise(6, closure=TREE.closure(), **arguments)(
      batch(labels)["labels"], batch(labels)["id"]).numpy()
  expected = np.zeros((60, 6))
  for row, label in zip(expected, noisy[:, 0]):
    row[[TREE.index(i) for i in TREE.expand([IDS[label]])] if label >= 0 else []] = 1
  found = targets.training(batch(labels))["targets"]
  np.testing.assert_array_equal(found, expected)
  clean = made().training(batch(labels))["targets"]
  assert (found.numpy() != clean.numpy()).any()
  np.testing.assert_array_equal(targets.evaluation(batch(labels))["targets"], clean)


def test_two_vocabularies_see_the_same_noise():
  labels = [(i % 6, (i + 3) % 6) for i in range(60)]
  arguments = {"noise": {"wrong": 0.5, "missing": 0.1}, "negatives": "verified"}
  pictures = batch(labels, absent=[((i + 1) % 6,) for i in range(60)])
  whole, some = made(**arguments), made(classes=[4, 0, 2], **arguments)
  for key in ("targets", "unknown_targets"):
    np.testing.assert_array_equal(
        some.training(pictures)[key], whole.training(pictures)[key].numpy()[:, [4, 0, 2]])


@pytest.mark.parametrize("arguments, message", [
    ({"negatives": "some"}, "negatives: 'some'; expected all or verified"),
    ({"min_confidence": 1.5}, "min_confidence: 1.5"), ({"noise": {"rong": 0.1}}, "rong"),
    ({"noise": {"wrong": 2.0}}, "wrong: 2.0"), ({"classes": []}, "bad-classes")])
def test_what_is_none_of_it_is_refused(arguments, message):
  with pytest.raises(ConfigError, match=message):
    made(**arguments)
