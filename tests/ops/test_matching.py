"""Who answers for whom, and who is drawn: loops, official's matcher, counts and chances."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies

from jft_reps.ops import matching
from jft_reps.ops.matching import BACKGROUND, IGNORED
from tests.models import numpy_faster_rcnn as reference

seeds = strategies.integers(0, 2**32 - 1)


def match(overlaps, *arguments, **options):
  return matching.match(tf.constant(overlaps, tf.float32), *arguments, **options).numpy().tolist()


def random_overlaps(seed, ties=True):
  """Up to 12 boxes and 5 objects; many zeros, ones on the thresholds, and ties."""
  random = np.random.RandomState(seed)
  shape = [random.randint(1, 13), random.randint(0, 6)]
  overlaps = random.uniform(0, 1, shape).astype(np.float32)
  if ties:
    overlaps = np.float32(np.round(overlaps, 1))
  overlaps[random.uniform(0, 1, shape) < 0.4] = 0
  return overlaps


def test_thresholds_of_the_region_proposal_network():
  overlaps = [[0.7, 0.1], [0.699, 0.1], [0.3, 0.0], [0.299, 0.2], [0.0, 0.0], [0.71, 0.9]]
  assert match(overlaps, 0.7, 0.3) == [0, IGNORED, IGNORED, BACKGROUND, BACKGROUND, 1]


def test_thresholds_of_the_classifier_leave_nothing_between():
  overlaps = [[0.5, 0.1], [0.499, 0.1], [0.2, 0.6], [0.0, 0.0]]
  assert match(overlaps, 0.5, 0.5) == [0, BACKGROUND, 1, BACKGROUND]


def test_every_object_gets_the_box_that_overlaps_it_most_however_little():
  overlaps = [[0.1, 0.0], [0.2, 0.0], [0.05, 0.4], [0.0, 0.35]]
  assert match(overlaps, 0.7, 0.3) == [BACKGROUND, BACKGROUND, IGNORED, IGNORED]
  assert match(overlaps, 0.7, 0.3, force=True) == [BACKGROUND, 0, 1, IGNORED]


def test_an_object_that_no_box_touches_gets_none():
  overlaps = [[0.0, 0.8], [0.0, 0.1]]
  assert match(overlaps, 0.7, 0.3, force=True) == [1, BACKGROUND]
  assert match([[0.0], [0.0]], 0.7, 0.3, force=True) == [BACKGROUND] * 2


def test_a_box_that_two_objects_want_goes_to_the_first_even_if_the_second_overlaps_more():
  assert match([[0.4, 0.9], [0.1, 0.8]], 0.7, 0.3, force=True) == [0, 1]
  assert match([[0.4, 0.6], [0.1, 0.2]], 0.7, 0.3, force=True) == [0, BACKGROUND]


def test_of_equal_boxes_and_of_equal_objects_the_first_counts():
  assert match([[0.4], [0.4]], 0.7, 0.3, force=True) == [0, IGNORED]
  assert match([[0.8, 0.8], [0.75, 0.75]], 0.7, 0.3) == [0, 0]
  assert match([[0.8, 0.8], [0.75, 0.75]], 0.7, 0.3, force=True) == [0, 0]


@pytest.mark.parametrize("force", [False, True])
def test_without_objects_all_is_background_and_without_boxes_there_is_nothing(force):
  assert match(np.zeros([3, 0]), 0.7, 0.3, force=force) == [BACKGROUND] * 3
  assert match(np.zeros([0, 3]), 0.7, 0.3, force=force) == []
  assert match(np.zeros([0, 0]), 0.7, 0.3, force=force) == []


@given(seeds, strategies.booleans(), strategies.booleans())
def test_matches_are_the_reference_s(seed, force, ties):
  overlaps = random_overlaps(seed, ties)
  for positive, negative in ((np.float32(0.7), np.float32(0.3)), (0.5, 0.5)):
    expected = reference.argmax_match(overlaps, positive, negative, force)
    assert match(overlaps, positive, negative, force=force) == expected.tolist()


def test_matches_are_those_of_official_vision():
  from official.vision.ops import box_matcher  # seconds to import

  kinds = {-1: BACKGROUND, -2: IGNORED}
  for force in (False, True):
    matcher = box_matcher.BoxMatcher([0.3, 0.7], [-1, -2, 1], force_match_for_each_col=force)
    for seed in range(20):
      overlaps = random_overlaps(seed, ties=False) + np.float32(1e-3)  # there all force one
      if overlaps.shape[1]:
        columns, indicators = matcher(tf.constant(overlaps))
        expected = [int(c) if i == 1 else kinds[int(i)] for c, i in zip(columns, indicators)]
        assert match(overlaps, 0.7, 0.3, force=force) == expected


SIZES = [(64, 0.5), (256, 0.25), (256, 0.5), (64, 0.25)]  # of the paper's text, then of Huang


def drawn(positive, negative, size, fraction, seed):
  found = matching.sample(tf.constant(positive), tf.constant(negative), size, fraction,
                          tf.constant(seed, tf.int64))
  return [index.numpy() for index in found]


@given(seeds, strategies.sampled_from(SIZES), strategies.integers(0, 400),
       strategies.integers(0, 400))
def test_positives_up_to_their_share_then_negatives_and_nothing_else(seed, how, p, n):
  size, fraction = how
  kinds = np.random.RandomState(seed).permutation([1] * p + [0] * n + [2] * 50)
  positive, negative = drawn(kinds == 1, kinds == 0, size, fraction, [seed, 3])
  assert len(positive) == min(p, int(size * fraction))
  assert len(negative) == min(n, size - len(positive))
  assert (kinds[positive] == 1).all() and (kinds[negative] == 0).all()
  assert len(set(positive)) == len(positive) and len(set(negative)) == len(negative)


def test_the_counts_of_the_paper_and_of_huang():
  kinds = np.array([1] * 1000 + [0] * 5000 + [2] * 50)
  counts = [list(map(len, drawn(kinds == 1, kinds == 0, *how, [0, 0]))) for how in SIZES]
  assert counts == [[32, 32], [64, 192], [128, 128], [16, 48]]


def test_the_draw_is_a_function_of_the_seed():
  kinds = np.arange(300) % 3
  draw = lambda seed: [i.tolist() for i in drawn(kinds == 1, kinds == 0, 20, 0.5, seed)]
  assert draw([5, 2**40 + 1]) == draw([5, 2**40 + 1])
  assert len({str(draw(seed)) for seed in ([5, 1], [5, 2], [6, 1], [5, 2**33 + 1])}) == 4


def test_every_candidate_has_the_same_chance_alone_and_beside_any_other():
  """Chi-square of how often each is drawn, and each pair together, over 2,000 draws."""
  kinds = np.array([1, 0, 2, 0, 1, 1, 0, 0, 1, 0, 1, 2, 1, 0])  # six positive, six negative
  draws, counts, together = 2000, np.zeros(14), np.zeros([14, 14])
  seeds = tf.stack([tf.range(draws, dtype=tf.int64), 7 * tf.range(draws, dtype=tf.int64)], 1)
  each = tf.function(lambda seed: matching.sample(
      tf.constant(kinds == 1), tf.constant(kinds == 0), 6, 0.5, seed))
  for seed in seeds:
    positive, negative = (i.numpy() for i in each(seed))
    assert len(positive) == len(negative) == 3
    chosen = np.zeros(14)
    chosen[[*positive, *negative]] = 1
    counts += chosen
    together += np.outer(chosen, chosen)
  expected = draws * 3 / 6
  assert ((counts[kinds < 2] - expected)**2 / expected).sum() < 25  # 10 degrees, variance halved
  for kind in (0, 1):
    own = np.flatnonzero(kinds == kind)
    pairs = together[np.ix_(own, own)][np.triu_indices(6, 1)]
    np.testing.assert_allclose(pairs, draws / 5, atol=5 * np.sqrt(draws * 0.2 * 0.8))
  other = together[np.ix_(kinds == 0, kinds == 1)]
  np.testing.assert_allclose(other, draws / 4, atol=5 * np.sqrt(draws * 0.25 * 0.75))
