"""Saturating curves: known asymptotes, and a preference that errs seldom."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from jft_reps.errors import DataError
from jft_reps.studies.fits import curve as fits
from jft_reps.studies.fits import power_law

SIZES = np.geomspace(1000, 100_000, 8).round()
LINE = 0.1 + 0.05 * np.log10(SIZES)
ASYMPTOTE = 0.6


def saturated(exponent: float, sizes: np.ndarray = SIZES) -> np.ndarray:
  return ASYMPTOTE - 0.4 * (sizes / 1000) ** -exponent


def drawn(rng: np.random.Generator, truth: np.ndarray, seeds: int, shared: float = 0.0,
          own: float = 0.01) -> fits.Curve:
  """Runs with noise of their own, and of the seed, named alike at every size where it shares."""
  values = truth[:, None] + own * rng.normal(size=(len(truth), seeds))
  values += shared * rng.normal(size=seeds)
  return fits.curve([(n, s if shared else (n, s), v)
                     for n, each in zip(SIZES, values) for s, v in enumerate(each)])


@pytest.mark.parametrize("exponent", [0.2, 0.5, 1.0])
def test_points_on_a_curve_give_its_numbers(exponent):
  found = power_law.saturating(drawn(np.random.default_rng(0), saturated(exponent), 2, own=0))
  assert found.preferred == "saturating"
  assert found.asymptote.value == pytest.approx(ASYMPTOTE, abs=1e-3)
  assert found.exponent.value == pytest.approx(exponent, rel=1e-2)
  assert found.scale == pytest.approx(ASYMPTOTE - saturated(exponent)[-1], rel=2e-2)
  at = saturated(exponent, np.array([1e6]))[0]
  assert found.at(1e6).value == pytest.approx(at, abs=1e-3)


def test_numbers_that_fall_saturate_from_above():
  up = power_law.saturating(drawn(np.random.default_rng(1), saturated(0.5), 3))
  turned = fits.Curve(up.curve.pictures, up.curve.seeds, tuple(-v for v in up.curve.values))
  down = power_law.saturating(turned)
  assert down.asymptote.value == pytest.approx(-up.asymptote.value, abs=1e-6)
  assert (down.asymptote.low, down.asymptote.high) == pytest.approx(
      (-up.asymptote.high, -up.asymptote.low), abs=1e-6)
  assert down.preferred == up.preferred == "saturating"


def test_a_line_has_no_asymptote_above_and_is_preferred_when_noise_is_small():
  found = power_law.saturating(drawn(np.random.default_rng(2), LINE, 5, own=0.001))
  assert found.preferred == "log-linear" and found.exponent.low == 0
  assert found.asymptote.high == np.inf and found.asymptote.low > LINE[-1]
  line = fits.log_linear(found.curve).at(1e6)
  assert found.at(1e6).low <= line.low and line.high <= found.at(1e6).high


def test_much_noise_tells_nothing():
  found = power_law.saturating(drawn(np.random.default_rng(3), LINE, 3, own=0.3))
  assert found.preferred == "not distinguishable"
  assert (found.asymptote.low, found.asymptote.high) == (-np.inf, np.inf)


def test_a_curve_that_bends_upward_is_neither():
  truth = 0.1 + 0.03 * (np.log10(SIZES) - 3) ** 2
  found = power_law.saturating(drawn(np.random.default_rng(4), truth, 3, own=0.002))
  assert found.preferred == "neither"


@pytest.mark.parametrize("truth", [saturated(0.5), LINE])
def test_one_seed_tells_nothing_however_small_its_scatter(truth):
  found = power_law.saturating(drawn(np.random.default_rng(11), truth, 1, own=1e-5))
  assert found.preferred == "not distinguishable" and found.exponent.low == 0
  for interval in (found.asymptote, found.at(1e6)):
    assert (interval.low, interval.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("seeds,draws", [
    (3, 30), pytest.param(2, 200, marks=pytest.mark.slow),
    pytest.param(5, 200, marks=pytest.mark.slow)])
def test_what_it_predicts_is_inside_nine_times_of_ten_where_it_is_preferred(seeds, draws):
  rng, at = np.random.default_rng(12), saturated(0.5, np.array([1e6]))[0]
  found = [power_law.saturating(drawn(rng, saturated(0.5), seeds, 0.01)) for _ in range(draws)]
  told = [f.at(1e6) for f in found if f.preferred == "saturating"]
  assert len(told) >= draws / 2 and sum(t.low <= at <= t.high for t in told) >= 0.9 * len(told)


def test_constant_numbers_do_not_crash():
  found = power_law.saturating(drawn(np.random.default_rng(5), np.full(8, 0.5), 3, own=0))
  assert found.preferred == "not distinguishable" and found.at(1e6).value == pytest.approx(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("seeds,shared", [(2, 0.01), (3, 0), (3, 0.01), (5, 0.01)])
def test_known_asymptotes_are_inside_nine_times_of_ten(exponent, seeds, shared):
  rng, inside, preferred = np.random.default_rng(6), 0, collections.Counter()
  for _ in range(200):
    found = power_law.saturating(drawn(rng, saturated(exponent), seeds, shared))
    inside += found.asymptote.low <= ASYMPTOTE <= found.asymptote.high
    preferred[found.preferred] += 1
  assert inside >= 180
  assert preferred["log-linear"] + preferred["neither"] <= 10


@pytest.mark.parametrize("seeds,shared", [(3, 0), (3, 0.01)])
def test_known_asymptotes_are_inside_and_seldom_called_a_line(seeds, shared):
  rng = np.random.default_rng(7)
  found = [power_law.saturating(drawn(rng, saturated(0.5), seeds, shared)) for _ in range(50)]
  assert sum(f.asymptote.low <= ASYMPTOTE <= f.asymptote.high for f in found) >= 45
  assert sum(f.preferred == "saturating" for f in found) >= 45


@pytest.mark.parametrize("noise", [0.0005, 0.002])
def test_precise_numbers_have_an_interval_too(noise):
  rng = np.random.default_rng(10)
  found = [power_law.saturating(drawn(rng, saturated(0.4), 5, own=noise)) for _ in range(40)]
  assert min(f.asymptote.high - f.asymptote.low for f in found) > 0
  assert sum(f.asymptote.low <= ASYMPTOTE <= f.asymptote.high for f in found) >= 36
  assert sum(f.exponent.low <= 0.4 <= f.exponent.high for f in found) >= 36


@pytest.mark.parametrize("seeds,shared", [(2, 0.01), (3, 0.01)])
def test_lines_are_seldom_called_saturating(seeds, shared):
  rng = np.random.default_rng(8)
  found = [power_law.saturating(drawn(rng, LINE, seeds, shared)).preferred for _ in range(50)]
  assert found.count("saturating") <= 5 and found.count("neither") <= 5


def test_five_sizes_are_too_few():
  curve = fits.curve([(n, 0, 0.1 * i) for i, n in enumerate(SIZES[:5])])
  with pytest.raises(DataError, match="5 sizes; expected at least 6"):
    power_law.saturating(curve)


@pytest.mark.parametrize("pictures", [0, 999, np.nan, np.inf])
def test_predictions_are_for_the_smallest_size_and_more(pictures):
  found = power_law.saturating(drawn(np.random.default_rng(9), saturated(0.5), 1))
  with pytest.raises(DataError, match="at least 1,000, the smallest"):
    found.at(pictures)
  near = found.at(1000)
  assert near.low < saturated(0.5)[0] < near.high
