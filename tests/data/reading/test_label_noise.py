"""Noise on labels: its rates, what it may not do, and that it is a function of the picture."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.reading.label_noise import LabelNoise
from jft_reps.errors import ConfigError
from tests.data.reading.test_label_expansion import padded, random_hierarchy

_BITS = 2**64 - 1


def siphash(data: bytes, key: tuple[int, int]) -> int:
  """SipHash-2-4 (Aumasson and Bernstein 2012), from the paper."""
  def turn(x, b):
    return ((x << b) | (x >> (64 - b))) & _BITS

  v = [key[0] ^ 0x736F6D6570736575, key[1] ^ 0x646F72616E646F6D,
       key[0] ^ 0x6C7967656E657261, key[1] ^ 0x7465646279746573]

  def rounds(n):
    for _ in range(n):
      v[0] = (v[0] + v[1]) & _BITS
      v[2] = (v[2] + v[3]) & _BITS
      v[1], v[3] = turn(v[1], 13) ^ v[0], turn(v[3], 16) ^ v[2]
      v[0] = turn(v[0], 32)
      v[2] = (v[2] + v[1]) & _BITS
      v[0] = (v[0] + v[3]) & _BITS
      v[1], v[3] = turn(v[1], 17) ^ v[2], turn(v[3], 21) ^ v[0]
      v[2] = turn(v[2], 32)

  whole = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) % 256])
  for i in range(0, len(whole), 8):
    word = int.from_bytes(whole[i:i + 8], "little")
    v[3] ^= word
    rounds(2)
    v[0] ^= word
  v[2] ^= 0xFF
  rounds(4)
  return v[0] ^ v[1] ^ v[2] ^ v[3]


def oracle(tree, labels, name, wrong, missing, seed, candidates):
  """Noisy labels of one picture, from sets."""
  present = {tree.ids[c] for c in labels if c >= 0}
  true = set(tree.expand(present))
  specific = {i for i in present if not present & set(tree.descendants(i))}
  maybe = set().union(*(tree.descendants(i) for i in specific)) if specific else set()
  free = [c for c in candidates if tree.ids[c] not in true | maybe]
  noisy = []
  for place, label in enumerate(labels):
    draws = [siphash(f"{place}/{name}".encode(), (seed, stream)) % 2**53 / 2**53
             for stream in range(3)]
    if label == -1 or draws[0] < missing:
      noisy.append(-1)
    elif draws[1] < wrong:
      noisy.append(free[int(draws[2] * len(free))] if free else -1)
    else:
      noisy.append(label)
  return noisy


def names(count, prefix="p"):
  return np.array([f"{prefix}{i}" for i in range(count)])


def many(count, classes, most=4, seed=0):
  rng = np.random.default_rng(seed)
  return padded([rng.choice(classes, rng.integers(0, most + 1), replace=False)
                 for _ in range(count)], most)


@pytest.mark.parametrize("candidates", [None, (0, 3, 11, 20, 5)])
def test_equals_sets_and_siphash(candidates):
  tree = random_hierarchy(4, 23)
  leaves = [tree.index(leaf) for leaf in tree.leaves]
  labels, ids = many(150, 23), names(150, "a picture/ü ")
  labels[3] = [-1, 7, -1, 7]
  noise = LabelNoise(23, 0.5, 0.25, 9, candidates, tree.closure())
  found = noise(tf.constant(labels), tf.constant(ids))
  expected = [oracle(tree, row, name, 0.5, 0.25, 9, candidates or leaves)
              for row, name in zip(labels.tolist(), ids)]
  np.testing.assert_array_equal(found, expected)
  assert found.dtype == tf.int64 and np.unique(found).size > 10


def test_rates_are_those_asked_for_and_replacements_uniform():
  count, classes, wrong, missing = 40_000, 50, 0.2, 0.1
  labels = np.random.default_rng(1).integers(0, classes, [count, 1])
  noise = LabelNoise(classes, wrong, missing, seed=3)
  found = noise(tf.constant(labels), tf.constant(names(count))).numpy()
  lost, changed = found == -1, (found != labels) & (found != -1)
  for flags, rate in ((lost, missing), (changed, (1 - missing) * wrong)):
    assert abs(flags.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / count)
  seen = np.bincount(found[changed], minlength=classes)
  expected = changed.sum() / classes
  chi_squared = ((seen - expected) ** 2 / expected).sum()
  assert abs(chi_squared - (classes - 1)) < 4 * np.sqrt(2 * (classes - 1))
  # Places of one picture are independent: as many pairs are wrong together as chance has it.
  pairs = LabelNoise(classes, 0.5)(
      tf.constant(np.repeat(labels, 2, 1)), tf.constant(names(count))).numpy() != labels
  assert abs(pairs.all(1).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / count)


def test_more_noise_contains_less_noise():
  tree = random_hierarchy(2, 60)
  labels, ids = tf.constant(many(2000, 60), tf.int32), tf.constant(names(2000))
  noisy = lambda wrong, missing: LabelNoise(
      60, wrong, missing, 5, closure=tree.closure())(labels, ids).numpy()
  little, much, most = noisy(0.1, 0.1), noisy(0.2, 0.1), noisy(0.2, 0.3)
  touched = little != labels.numpy()
  assert 100 < touched.sum() < (much != labels.numpy()).sum()
  np.testing.assert_array_equal(little[touched], much[touched])
  assert np.all(most[much == -1] == -1) and (most == -1).sum() > (much == -1).sum()
  np.testing.assert_array_equal(most[most != -1], much[most != -1])


def test_a_wrong_label_is_not_true_of_the_picture_nor_possibly():
  #      animal(0) -> dog(1) -> poodle(2), beagle(3); animal -> cat(4); thing(5) -> car(6)
  ids = ["animal", "dog", "poodle", "beagle", "cat", "thing", "car"]
  tree = Hierarchy(ids, [("dog", "animal"), ("poodle", "dog"), ("beagle", "dog"),
                         ("cat", "animal"), ("car", "thing")])
  labels = tf.constant(np.tile([[1, 0]], [500, 1]))  # a dog, and said to be an animal
  of = lambda **more: set(np.unique(LabelNoise(
      7, wrong=1.0, closure=tree.closure(), **more)(labels, tf.constant(names(500)))))
  assert of() == {4, 6}  # the leaves that are neither a dog nor a kind of dog
  assert of(candidates=range(7)) == {4, 5, 6}
  assert of(candidates=[0, 2]) == {-1}  # nothing that would be wrong
  whole = LabelNoise(7, 1.0)(tf.constant([[1, 0]] * 500), tf.constant(names(500)))
  assert set(np.unique(whole)) == {2, 3, 4, 5, 6}


def test_noise_depends_on_the_picture_alone():
  tree = random_hierarchy(3, 40)
  labels, ids = many(64, 40), names(64)
  noise = LabelNoise(40, 0.4, 0.2, 1, closure=tree.closure())
  whole = noise(tf.constant(labels), tf.constant(ids)).numpy()
  order = np.random.default_rng(0).permutation(64)
  dataset = tf.data.Dataset.from_tensor_slices((labels[order], ids[order])).batch(5)
  named = lambda rows, ids: (noise(rows, ids), ids)
  for worker, workers in ((0, 1), (0, 2), (1, 2)):  # another order, other batches
    for rows, some in dataset.shard(workers, worker).map(named, num_parallel_calls=2):
      np.testing.assert_array_equal(rows, whole[[int(i[1:]) for i in some.numpy()]])
  wider = np.pad(labels, [(0, 0), (0, 9)], constant_values=-1)
  np.testing.assert_array_equal(noise(tf.constant(wider), tf.constant(ids))[:, :4], whole)
  other = LabelNoise(40, 0.4, 0.2, 2, closure=tree.closure())(tf.constant(labels), tf.constant(ids))
  assert (other.numpy() != whole).any()


def test_without_noise_labels_pass_untouched():
  labels = tf.constant([[2, -1]], tf.int64)
  assert LabelNoise(3)(labels, tf.constant(["p"])) is labels


def test_the_graph_is_self_contained():
  tree = random_hierarchy(7, 300)
  noise = LabelNoise(300, 0.2, 0.1, closure=tree.closure())
  graph = tf.function(noise).get_concrete_function(
      tf.TensorSpec([None, 8], tf.int64), tf.TensorSpec([None], tf.string))
  assert not graph.captured_inputs
  assert {"PyFunc", "EagerPyFunc"}.isdisjoint(op.type for op in graph.graph.get_operations())
  empty = graph(tf.fill([3, 8], tf.constant(-1, tf.int64)), tf.constant(["a", "b", "c"]))
  np.testing.assert_array_equal(empty, np.full([3, 8], -1))
  with pytest.raises(tf.errors.InvalidArgumentError):
    LabelNoise(300, 1.0)(tf.constant([[300]], tf.int64), tf.constant(["a"]))


@pytest.mark.parametrize("arguments, message", [
    ({"wrong": 1.5}, "wrong: 1.5"), ({"missing": -0.1}, "missing: -0.1"),
    ({"wrong": float("nan")}, "wrong: nan"), ({"seed": -1}, "seed: -1"),
    ({"candidates": [0, 5]}, "bad-classes"), ({"candidates": []}, "bad-classes"),
    ({"candidates": [1, 1]}, "bad-classes")])
def test_what_is_no_noise_is_refused(arguments, message):
  with pytest.raises(ConfigError, match=message):
    LabelNoise(5, **arguments)
