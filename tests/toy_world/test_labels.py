"""Labels of the toy world: complete where dense, and noisy by the stated rates where not."""

from __future__ import annotations

import collections
import math

import numpy as np

from jft_reps.toy_world.world import SPLITS, ToyWorld

WORLD = ToyWorld()


def _within(count: int, trials: int, chance: float) -> bool:
  """Whether a count lies within five standard deviations of a binomial's mean."""
  return abs(count - trials * chance) <= 5 * math.sqrt(trials * chance * (1 - chance)) + 1


def test_dense_labels_are_complete_and_closed_under_ancestors():
  for split in set(SPLITS) - {"train"}:
    known = WORLD.vocabulary_of(split)
    parents = dict(known.hierarchy_edges)
    for index in range(200):
      picture = WORLD.picture(split, index)
      expected = set()
      for leaf in picture.leaves:
        node = known.ids[leaf]
        while node:
          expected.add(node)
          node = parents[node]
      assert {known.ids[i] for i in picture.labels} == expected
      assert picture.labels == picture.true_labels == tuple(sorted(set(picture.labels)))
      assert tuple(thing.label for thing in picture.objects) == picture.leaves


def _singles(world: ToyWorld, count: int = 12_000):
  pictures = (world.picture("train", i) for i in range(count))
  return [(p.leaves[0], p.labels[0]) for p in pictures if len(p.leaves) == 1]


def test_wrong_labels_come_at_the_stated_rate_and_keep_every_leaf_as_precise():
  world = ToyWorld(wrong=0.2, missing=0.3, coarse=0.0)
  pairs = _singles(world)
  assert _within(sum(true != told for true, told in pairs), len(pairs), 0.2)
  order = np.argsort(-world.leaf_chances)
  head = {world.vocabulary.leaves[i] for i in order[:20]}
  for group in (True, False):
    told = [true == label for true, label in pairs if (label in head) is group]
    assert abs(np.mean(told) - 0.8) < 0.06


def test_coarse_labels_come_at_the_stated_rate_and_are_true_ancestors():
  known = WORLD.vocabulary
  pairs = _singles(ToyWorld(wrong=0.0, missing=0.3, coarse=0.15))
  levels = collections.Counter(known.levels[told] for _, told in pairs)
  coarse = len(pairs) - levels["leaf"]
  assert _within(coarse, len(pairs), 0.15)
  assert set(levels) == {"leaf", "texture", "shape", "family"}
  assert all(_within(levels[level], coarse, 1 / 3) for level in ("texture", "shape", "family"))
  assert all(known.ids[true].startswith(known.ids[told]) for true, told in pairs)


def test_missing_labels_come_at_the_stated_rate_but_one_is_kept():
  rate = 0.3
  world = ToyWorld(wrong=0.0, missing=rate, coarse=0.0)
  told = collections.Counter()
  trials = collections.Counter()
  for index in range(8000):
    picture = world.picture("train", index)
    count = len(picture.leaves)
    assert set(picture.labels) <= set(picture.leaves) and picture.labels
    if len(set(picture.leaves)) == count:
      told[count] += len(picture.labels)
      trials[count] += 1
  for count in (1, 2, 3):
    # All go missing with chance rate^count, and then one is put back.
    expected = trials[count] * (count * (1 - rate) + rate**count)
    assert abs(told[count] - expected) <= 5 * math.sqrt(trials[count] * count * 0.21)


def test_noise_is_laid_over_the_same_pictures_and_only_grows():
  worlds = [ToyWorld(wrong=w, missing=0.0, coarse=0.0) for w in (0.0, 0.1, 0.5)]
  wrong = collections.Counter()
  for index in range(600):
    clean, mild, strong = (world.picture("train", index) for world in worlds)
    assert clean.true_labels == mild.true_labels == strong.true_labels
    assert set(clean.labels) == set(clean.leaves)
    faults = [set(p.labels) - set(p.leaves) for p in (mild, strong)]
    assert faults[0] <= faults[1]
    wrong.update(mild=len(faults[0]), strong=len(faults[1]))
    if index < 10:
      assert np.array_equal(clean.image, strong.image)
  assert 3 * wrong["mild"] < wrong["strong"]


def test_the_training_split_has_a_zipf_tail_and_fasteval_does_not():
  rank = np.arange(360)
  expected = (rank + 3.0) ** -1 / ((rank + 3.0) ** -1).sum()
  assert np.allclose(np.sort(WORLD.leaf_chances)[::-1], expected)
  place = {leaf: i for i, leaf in enumerate(WORLD.vocabulary.leaves)}
  for split, chances in (("train", WORLD.leaf_chances), ("fasteval", np.full(360, 1 / 360)),
                         ("dev", np.full(360, 1 / 360))):
    counts = np.zeros(360)
    for index in range(6000):
      for leaf in WORLD.picture(split, index).leaves:
        counts[place[leaf]] += 1
    mean = counts.sum() * chances
    chi_square = ((counts - mean) ** 2 / mean).sum()
    assert abs(chi_square - 359) < 5 * math.sqrt(2 * 359)
  uniform = ToyWorld(zipf=0.0).leaf_chances
  assert np.allclose(uniform, 1 / 360)
