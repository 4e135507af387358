"""What a fitted curve says, in one plain sentence that claims no more than its intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

from jft_reps.errors import DataError
from jft_reps.studies.fits import curve as fits
from jft_reps.studies.fits import paired
from jft_reps.studies.fits.interval import Interval

Row = tuple[float, Hashable, float]
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_LISTED = 5  # seeds or sizes that were left out


def data_size(line: fits.LogLinear, metric: str, scale: float = 100.0) -> str:
  """The gain per 10× pictures over the sizes that were measured, with its interval.

  What more pictures would give is the forecaster's to say (`studies/forecast`): beyond its sizes a
  line is wrong by more than the last value kept.

  Args:
    line: the fit.
    metric: name of the number, e.g. "AP".
    scale: of the printed numbers; 100 prints points, 1 the raw values.
  """
  gain, curve = line.gain, line.curve
  told = f"{_signed(gain, scale)} {metric} per 10× pictures"
  if not curve.over_seeds:
    return f"No gain can be told: {told} {_of_one_seed(line, metric, scale)}."
  told += f", {_range(gain, curve, scale)}, {_basis(curve)}"
  if not gain.separated:
    return f"No gain can be told: {told}."
  if line.bend is not None and line.bend.separated:
    return f"{told}; the gain {'falls' if line.bend.value * gain.value < 0 else 'grows'} with size."
  return f"{told}."


def comparison(first: Iterable[Row], second: Iterable[Row], names: tuple[str, str], metric: str,
               scale: float = 100.0, confidence: float = 0.95) -> str:
  """Which of two curves gains more per 10× pictures, paired by size and seed.

  Raises:
    DataError: the two are not of the same sizes and seeds, or are no curves.
  """
  a, b = fits.by_size(first), fits.by_size(second)
  if {n: set(a[n]) for n in a} != {n: set(b[n]) for n in b}:
    raise DataError("fit-rows", f"{names[0]} and {names[1]}", "other sizes or seeds in one of them",
                    "the same sizes and seeds in both", "Leave out runs without a partner.")
  rows = [(n, seed, value - b[n][seed]) for n in a for seed, value in a[n].items()]
  line = fits.log_linear(fits.curve(rows, confidence))
  gain, curve = line.gain, line.curve
  if not gain.separated:
    told = (f", {_range(gain, curve, scale)}, {_basis(curve)}" if curve.over_seeds
            else f" {_of_one_seed(line, metric, scale)}")
    return (f"Which of {names[0]} and {names[1]} gains more per 10× pictures cannot be told: "
            f"{_signed(gain, scale)} {metric}{told}.")
  more, less = names
  if min(map(len, curve.seeds)) < paired.SEEDS:
    return (f"{more} less {less} per 10× pictures: {_signed(gain, scale)} {metric}, "
            f"{_range(gain, curve, scale)}, {_basis(curve)}; {paired.FEW}.")
  if gain.value < 0:
    more, less, gain = less, more, Interval(-gain.value, -gain.high, -gain.low)
  return (f"{more} gains {_signed(gain, scale)} {metric} per 10× pictures more than {less}, "
          f"{_range(gain, curve, scale)}, {_basis(curve)}.")


def _basis(curve: fits.Curve) -> str:
  """Of how many seeds an interval is, and what was left out for it."""
  fewest, most = (f(map(len, curve.seeds)) for f in (min, max))
  word = lambda n: _NUMBERS[n] if n < len(_NUMBERS) else str(n)
  seeds = "seed" if most == 1 else "seeds"
  told = f"{word(fewest)} {'' if fewest == most else f'to {word(most)} '}{seeds}"
  left = [([str(seed) for seed in curve.left_seeds], "seed", "not at every size"),
          ([f"{size:,.0f}" for size in curve.left_sizes], "size", "one seed")]
  without = [f"without {noun}{'s' if len(texts) > 1 else ''} {_listed(texts)} ({why})"
             for texts, noun, why in left if texts]
  return ", ".join([told, *without])


def _of_one_seed(line: fits.LogLinear, metric: str, scale: float) -> str:
  """That a number gives no order, and what there is instead of an interval."""
  some = " at some sizes" if max(map(len, line.curve.seeds)) > 1 else ""
  told = f"of one seed{some}, which gives no interval and so no order"
  if line.scatter is None:
    return told
  shown = Interval(line.scatter, -math.inf, line.scatter)
  return (f"{told}; the scatter about the line, {_plain(shown, scale)} {metric}, says nothing of "
          "other seeds")


def _listed(texts: Sequence[str]) -> str:
  """`1, 2 and 3`; of many the first few."""
  if len(texts) > _LISTED:
    texts = [*texts[:_LISTED], f"{len(texts) - _LISTED} more"]
  return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _range(interval: Interval, curve: fits.Curve, scale: float) -> str:
  low, high = (_plain(interval, scale, v) for v in (interval.low, interval.high))
  return f"{curve.confidence * 100:g} % interval {low} to {high}"


def _signed(interval: Interval, scale: float) -> str:
  sign = "" if interval.value < 0 else "+"
  return sign + _plain(interval, scale)


def _plain(interval: Interval, scale: float, value: float | None = None) -> str:
  """The value of an interval, or one within it, by the interval's decimals."""
  shown = (interval.value if value is None else value) * scale + 0.0  # no −0
  return f"{shown:.{_digits(interval, scale)}f}".replace("-", "−")


def _digits(interval: Interval, scale: float) -> int:
  """Decimals that show half the interval, and its ends on their side of zero."""
  shown = [(interval.high - interval.low) / 2, interval.low, interval.high]
  shown = [abs(v) * scale for v in shown if math.isfinite(v)]
  shown = [v for v in shown if v > 1e-9]
  if not shown:
    return 1 if scale != 1 else 3
  return min(6, max(1, math.ceil(-math.log10(min(shown) / 2))))
