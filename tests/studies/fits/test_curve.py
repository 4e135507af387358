"""Lines in log10 of pictures: intervals by independent computation, coverage by simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from jft_reps.errors import DataError
from jft_reps.studies.fits import curve

SIZES = np.array([1000, 3000, 10_000, 30_000])
LOG = np.log10(SIZES)
GAIN, DEVIATION, DRAWS = 0.05, 0.01, 300


def rows(values: np.ndarray, paired: bool = True, sizes: np.ndarray = SIZES) -> list[tuple]:
  """Of [sizes, seeds]; seeds are named apart unless paired."""
  return [(size, s if paired else (i, s), values[i, s])
          for i, size in enumerate(sizes) for s in range(values.shape[1])]


def noise(rng: np.random.Generator, kind: str, seeds: int, x: np.ndarray = LOG) -> np.ndarray:
  """[sizes, seeds]: own of every run, shared by the sizes of a seed, in its slope, or by size."""
  own = DEVIATION * rng.normal(size=(len(x), seeds))
  each = DEVIATION * rng.normal(size=(2, seeds))
  return {"own": own, "shared": own / 2 + each[0],
          "slope": own / 3 + each[0] + each[1] * (x - x.mean())[:, None],
          "by size": own * np.geomspace(3, 0.3, len(x))[:, None]}[kind]


def line(values: np.ndarray, **kwargs) -> curve.LogLinear:
  return curve.log_linear(curve.curve(rows(values, **kwargs)))


def test_the_line_is_that_of_least_squares_on_the_means():
  values = np.random.default_rng(0).normal(size=(4, 3))
  found = line(values)
  slope, intercept = np.polyfit(LOG, values.mean(1), 1)
  assert (found.gain.value, found.intercept) == pytest.approx((slope, intercept))
  assert found.at(3e5).value == pytest.approx(intercept + slope * np.log10(3e5))
  assert found.bend.value == pytest.approx(2 * np.polyfit(LOG, values.mean(1), 2)[0])


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_with_the_same_seeds_everywhere_it_is_the_t_interval_of_their_own_lines(seeds):
  rng = np.random.default_rng(seeds)
  values = GAIN * LOG[:, None] + noise(rng, "slope", seeds)
  found, own = line(values), np.polyfit(LOG, values, 1)
  for interval, each in ((found.gain, own[0]), (found.at(3e5), own[1] + own[0] * np.log10(3e5))):
    expected = stats.ttest_1samp(each, 0).confidence_interval(0.95)
    width = expected.high - expected.low
    assert (interval.low, interval.high) == pytest.approx(tuple(expected), abs=0.05 * width)


def test_one_seed_gives_no_interval_but_the_scatter_about_its_line():
  values = GAIN * LOG[:, None] + noise(np.random.default_rng(3), "own", 1)
  found, expected = line(values), stats.linregress(LOG, values[:, 0])
  assert not found.curve.over_seeds
  for interval in (found.gain, found.bend, found.at(3e5)):
    assert (interval.low, interval.high) == (-np.inf, np.inf) and not interval.separated
  assert found.gain.value == pytest.approx(expected.slope)
  assert found.scatter == pytest.approx(expected.stderr * np.sqrt(((LOG - LOG.mean()) ** 2).sum()))


def test_two_sizes_of_one_seed_bound_nothing():
  found = curve.log_linear(curve.curve([(10, 0, 0.1), (1000, 0, 0.3)]))
  assert found.gain.value == pytest.approx(0.1) and found.bend is None and found.scatter is None
  assert found.gain.low == -np.inf and found.gain.high == np.inf and not found.gain.separated


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("kind,paired", [("own", True), ("own", False), ("shared", True),
                                         ("slope", True), ("by size", True), ("by size", False)])
def test_known_slopes_and_predictions_are_inside_nine_times_of_ten(kind, paired, seeds):
  rng, inside = np.random.default_rng(11), np.zeros(2)
  for _ in range(DRAWS):
    found = line(0.1 + GAIN * LOG[:, None] + noise(rng, kind, seeds), paired=paired)
    more = found.at(300_000)
    inside += (found.gain.low <= GAIN <= found.gain.high,
               more.low <= 0.1 + GAIN * np.log10(300_000) <= more.high)
  assert (inside >= 0.9 * DRAWS).all()


def test_resampling_three_seeds_by_counts_would_miss_too_often():
  rng, inside = np.random.default_rng(12), 0
  for _ in range(200):
    own = np.polyfit(LOG, GAIN * LOG[:, None] + noise(rng, "slope", 3), 1)[0]
    low, high = np.quantile(rng.choice(own, (1000, 3)).mean(1), (0.025, 0.975))
    inside += low <= GAIN <= high
  assert inside < 160


def test_what_seeds_share_is_seen_only_under_their_names():
  values = GAIN * LOG[:, None] + noise(np.random.default_rng(5), "shared", 5)
  together, apart = line(values), line(values, paired=False)
  assert together.gain.value == pytest.approx(apart.gain.value)
  width = lambda interval: interval.high - interval.low
  assert width(together.gain) < width(apart.gain)


def test_order_of_rows_changes_nothing_and_runs_repeat():
  table = rows(np.random.default_rng(6).normal(size=(4, 3)))
  assert curve.log_linear(curve.curve(table)).gain == curve.log_linear(curve.curve(table)).gain
  backwards = curve.log_linear(curve.curve(table[::-1])).gain
  assert backwards.value == pytest.approx(curve.log_linear(curve.curve(table)).gain.value)


def some(values: np.ndarray, done: Sequence[Sequence[int]]) -> curve.Curve:
  """The seeds that are done of each size."""
  return curve.curve([(n, s, values[i, s]) for i, n in enumerate(SIZES) for s in done[i]])


def first(*counts: int) -> list[range]:
  return [range(count) for count in counts]


@pytest.mark.parametrize("done,sizes,seeds,left_seeds,left_sizes", [
    (first(5, 4, 3, 2), 4, 2, (2, 3, 4), ()), (first(5, 5, 5, 1), 3, 5, (), (30_000,)),
    (first(5, 5, 3, 1), 3, 3, (3, 4), (30_000,)), (first(1, 3, 1, 3), 2, 3, (), (1000, 10_000)),
    (first(3, 3, 3, 3), 4, 3, (), ()), (first(3, 1, 1, 1), 4, 1, (), ()),
    ([(0, 1), (1, 2), (2, 3), (3, 4)], 4, 2, (), ())])
def test_half_a_study_is_fitted_by_seeds_at_every_size_or_sizes_of_several_seeds(
    done, sizes, seeds, left_seeds, left_sizes):
  found = some(np.random.default_rng(7).normal(size=(4, 5)), done)
  assert (len(found.pictures), min(map(len, found.values))) == (sizes, seeds)
  assert (found.left_seeds, found.left_sizes) == (left_seeds, left_sizes)
  assert found.over_seeds == (seeds > 1)


@pytest.mark.parametrize("kind", ["shared", "slope", "by size"])
@pytest.mark.parametrize("done", [
    first(5, 5, 5, 1), first(5, 4, 3, 2), first(5, 5, 3, 1), first(2, 2, 2, 2),
    [(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 0)], [(0, 1), (0, 1), (2, 3), (2, 3)]], ids=str)
def test_half_a_study_holds_known_slopes_and_predictions_too(done, kind):
  rng, inside = np.random.default_rng(13), np.zeros(2)
  for _ in range(100):
    found = curve.log_linear(some(0.1 + GAIN * LOG[:, None] + noise(rng, kind, 5), done))
    more = found.at(300_000)
    inside += (found.gain.low <= GAIN <= found.gain.high,
               more.low <= 0.1 + GAIN * np.log10(300_000) <= more.high)
  assert (inside >= 90).all()


@pytest.mark.parametrize("table,message", [
    ([], "at least two different"), ([(10, 0, 1.0), (10, 1, 2.0)], "at least two different"),
    ([(10, 0, 1.0), (20, 0, np.nan)], "row 2.*finite number"),
    ([(0, 0, 1.0), (20, 0, 1.0)], "row 1.*positive"),
    ([(np.inf, 0, 1.0), (20, 0, 1.0)], "row 1.*positive"),
    ([(10, 0, 1.0), (20, 0, 1.0), (20, 0, 1.1)], "row 3.*again"),
    ([(10, 0), (20, 0)], "row 1"), ([("x", 0, 1.0)], "row 1"), ([(10, [], 1.0)], "row 1")])
def test_what_is_no_curve_is_refused_with_its_row(table, message):
  with pytest.raises(DataError, match=message):
    curve.curve(table)


@pytest.mark.parametrize("pictures", [0, -1, np.nan, np.inf])
def test_predictions_are_for_sizes(pictures):
  with pytest.raises(DataError, match="positive number"):
    line(np.ones((4, 3))).at(pictures)
