"""The batched expansion equals sets of labels, in eager mode, in graphs and in pipelines."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.errors import ConfigError


def random_hierarchy(seed, classes):
  rng = np.random.default_rng(seed)
  order = rng.permutation(classes)
  ids = [f"n{i}" for i in range(classes)]
  edges = [(ids[order[i]], ids[order[rng.integers(i)]])
           for i in range(2, classes) for _ in range(rng.integers(0, 4))]
  return Hierarchy(ids, edges)


def padded(rows, width):
  return np.array([list(r) + [-1] * (width - len(r)) for r in rows], np.int64)


def oracle(tree, ids):
  """Multi-hot float64 `[batch, classes]` from sets."""
  targets = np.zeros((len(ids), len(tree)))
  for row, labels in enumerate(ids):
    for label in tree.expand([tree.ids[i] for i in labels if i != -1]):
      targets[row, tree.index(label)] = 1
  return targets


def oracle_unknown(tree, ids, unknown_ids):
  unknown = np.zeros((len(ids), len(tree)))
  for row, labels in enumerate(unknown_ids):
    for i in labels[labels != -1]:
      below = [tree.ids[i], *tree.descendants(tree.ids[i])]
      unknown[row, [tree.index(b) for b in below]] = 1
  return unknown * (1 - oracle(tree, ids))


def batches(classes, width=6):
  labels = st.lists(st.integers(0, classes - 1), max_size=width)
  return st.lists(labels, min_size=1, max_size=5).map(lambda rows: padded(rows, width))


@given(st.integers(0, 5), st.data(), st.sampled_from([tf.float32, tf.uint8, tf.bfloat16]))
def test_equals_sets_of_labels(seed, data, dtype):
  tree = random_hierarchy(seed, 23)
  ids = data.draw(batches(23))
  unknown = padded([data.draw(st.lists(st.integers(0, 22), max_size=3)) for _ in ids], 3)
  expand = LabelExpansion(len(tree), tree.closure(), dtype)
  targets = expand(tf.constant(ids))
  found = expand.unknown(targets, tf.constant(unknown))
  assert targets.dtype == found.dtype == dtype
  np.testing.assert_array_equal(tf.cast(targets, tf.float64), oracle(tree, ids))
  np.testing.assert_array_equal(tf.cast(found, tf.float64), oracle_unknown(tree, ids, unknown))


def test_padding_may_stand_anywhere_and_repeats_count_once():
  tree = Hierarchy(["animal", "dog", "cat"], [("dog", "animal"), ("cat", "animal")])
  expand = LabelExpansion(3, tree.closure())
  targets = expand(tf.constant([[-1, 1, 1, 2], [-1, -1, -1, -1], [0, -1, 0, -1]]))
  np.testing.assert_array_equal(targets, [[1, 1, 1], [0, 0, 0], [1, 0, 0]])
  assert expand(tf.zeros([0, 4], tf.int64)).shape == (0, 3)
  assert expand(tf.zeros([2, 0], tf.int64)).numpy().sum() == 0


def test_without_hierarchy_labels_stand_for_themselves():
  expand = LabelExpansion(4)
  np.testing.assert_array_equal(
      expand(tf.constant([[3, 1], [0, -1]])), [[0, 1, 0, 1], [1, 0, 0, 0]])
  np.testing.assert_array_equal(
      expand.unknown(expand(tf.constant([[3], [0]])), tf.constant([[3, 2], [1, -1]])),
      [[0, 0, 1, 0], [0, 1, 0, 0]])


def test_unknown_reaches_down_and_never_over_positives():
  #      animal(0) -> dog(1) -> poodle(2); animal -> cat(3)
  tree = Hierarchy(list("adpc"), [("d", "a"), ("p", "d"), ("c", "a")])
  expand = LabelExpansion(4, tree.closure())
  targets = expand(tf.constant([[-1], [2], [3]]))
  unknown = expand.unknown(targets, tf.constant([[1], [1], [0]]))
  np.testing.assert_array_equal(unknown, [[0, 1, 1, 0], [0, 0, 0, 0], [0, 1, 1, 0]])
  none = expand.unknown(targets, tf.fill([3, 2], -1))
  np.testing.assert_array_equal(none, np.zeros((3, 4)))


@pytest.mark.parametrize("bad", [5, -2, 2**32 + 1, 2**62])
def test_ids_that_are_no_class_raise(bad):
  tree = random_hierarchy(1, 5)
  for expand in (LabelExpansion(5, tree.closure()), LabelExpansion(5)):
    with pytest.raises(tf.errors.InvalidArgumentError):
      expand(tf.constant([[1], [bad]], tf.int64))
    with pytest.raises(tf.errors.InvalidArgumentError):
      expand.unknown(expand(tf.constant([[1]])), tf.constant([[bad]], tf.int64))


def test_in_a_pipeline_the_graph_is_self_contained_and_small():
  tree = random_hierarchy(7, 900)
  expand = LabelExpansion(len(tree), tree.closure(), tf.uint8)
  ids = np.random.default_rng(0).integers(-1, 900, [6, 4, 8])
  dataset = tf.data.Dataset.from_tensor_slices(ids).map(expand)
  assert dataset.element_spec.shape == (4, 900)
  for batch, targets in zip(ids, dataset):
    np.testing.assert_array_equal(targets, oracle(tree, batch))
  graph = tf.function(expand).get_concrete_function(tf.TensorSpec([None, 8], tf.int64))
  assert not graph.captured_inputs  # nothing of this process goes along to a remote worker
  assert {"PyFunc", "EagerPyFunc"}.isdisjoint(op.type for op in graph.graph.get_operations())
  assert graph.graph.as_graph_def().ByteSize() < 4 * sum(map(len, tree.closure())) + 20_000


def test_unknown_is_a_graph_of_its_own_in_a_pipeline():
  tree = random_hierarchy(7, 300)
  expand = LabelExpansion(len(tree), tree.closure(), tf.uint8)
  ids = np.random.default_rng(0).integers(-1, 300, [5, 4, 6])
  unknown = np.where(np.arange(5)[:, None, None] % 2, ids[::-1], -1)  # batches with and without
  dataset = tf.data.Dataset.from_tensor_slices((ids, unknown))
  dataset = dataset.map(lambda i, u: expand.unknown(expand(i), u))
  assert dataset.element_spec.shape == (4, 300)
  for found, *batch in zip(dataset, ids, unknown):
    np.testing.assert_array_equal(found, oracle_unknown(tree, *batch))


def test_another_number_of_classes_is_refused():
  tree = random_hierarchy(1, 5)
  with pytest.raises(ConfigError, match="5 classes in the hierarchy, 6 in the model"):
    LabelExpansion(6, tree.closure())
  with pytest.raises(ConfigError, match="malformed"):
    LabelExpansion(2, (np.array([0, 1, 2]), np.array([0, 2])))


@given(st.integers(0, 5), st.data())
def test_a_reduced_vocabulary_is_columns_of_the_whole_one(seed, data):
  tree = random_hierarchy(seed, 23)
  classes = data.draw(st.lists(st.integers(0, 22), min_size=1, max_size=9, unique=True))
  ids = data.draw(batches(23))
  listed = padded([data.draw(st.lists(st.integers(0, 22), max_size=3)) for _ in ids], 3)
  expand = LabelExpansion(len(tree), tree.closure(), tf.uint8, classes)
  targets = expand(tf.constant(ids))
  assert targets.shape[1] == expand.num_targets == len(classes) and expand.num_classes == 23
  np.testing.assert_array_equal(targets, oracle(tree, ids)[:, classes])
  np.testing.assert_array_equal(
      expand.unknown(targets, tf.constant(listed)), oracle_unknown(tree, ids, listed)[:, classes])
  # Not below a verified absence, or implied by the labels.
  below = oracle_unknown(tree, ids, listed)
  unverified = (1 - below) * (1 - oracle(tree, ids))
  np.testing.assert_array_equal(
      expand.unverified(tf.constant(ids), tf.constant(listed)), unverified[:, classes])
  whole = LabelExpansion(len(tree), tree.closure(), tf.uint8)
  np.testing.assert_array_equal(
      whole.unverified(tf.constant(ids), tf.constant(listed)), unverified)


@pytest.mark.parametrize("classes", [[], [0, 0], [5], [-1]])
def test_a_reduced_vocabulary_is_of_different_classes(classes):
  with pytest.raises(ConfigError, match="bad-classes"):
    LabelExpansion(5, classes=classes)
