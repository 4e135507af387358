"""Paired differences against SciPy's t-test and by their meaning."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jft_reps.errors import DataError
from jft_reps.studies.fits import paired


def test_the_interval_is_that_of_the_one_sample_t_test_on_differences():
  rng = np.random.default_rng(4)
  a, b = rng.normal(0.6, 0.1, 5), rng.normal(0.5, 0.1, 5)
  found = paired.difference(a, b)
  expected = stats.ttest_1samp(a - b, 0).confidence_interval(0.95)
  assert (found.low, found.high) == pytest.approx(tuple(expected))
  assert found.value == pytest.approx((a - b).mean()) and found.seeds == 5


def test_what_every_seed_shares_does_not_widen_the_interval():
  seeds = np.array([0.1, 0.5, 0.9, 0.3, 0.7])
  found = paired.difference(seeds + np.array([0.02, 0.03, 0.02, 0.03, 0.02]), seeds)
  assert found.separated and found.high - found.low < 0.02


def test_an_interval_over_zero_separates_nothing():
  found = paired.difference([0.5, 0.6, 0.4], [0.55, 0.5, 0.45])
  assert not found.separated and found.seeds == 3


def test_p_values_agree_with_the_intervals():
  """Of each comparison alone: it is below 5 % where the interval leaves zero out."""
  rng = np.random.default_rng(0)
  for seeds in (2, 3, 8):
    a, b = rng.normal([[0.5]] * seeds, 1, (seeds, 40)), rng.normal(0, 1, (seeds, 40))
    found = paired.p_values(a, b)
    intervals = [paired.difference(x, y) for x, y in zip(a.T, b.T)]
    assert [p < 0.05 for p in found] == [i.separated for i in intervals]
    t = [abs(i.value) / np.std(x - y, ddof=1) * seeds**0.5 for i, x, y in zip(
        intervals, a.T, b.T)]
    assert found == pytest.approx(2 * stats.t.sf(t, seeds - 1))
  assert list(paired.p_values([[1.0, 1.0], [2.0, 2.0]], [[1.0, 0.0], [2.0, 1.0]])) == [1.0, 0.0]


@pytest.mark.parametrize("pair", [([1.0], [2.0]), ([1, 2], [1, 2, 3]), ([1, np.nan], [1, 2])])
def test_what_cannot_be_paired_is_refused(pair):
  with pytest.raises(DataError, match="one finite number per seed"):
    paired.difference(*pair)
