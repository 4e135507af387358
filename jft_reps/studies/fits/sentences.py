"""What a fitted curve says, in one plain sentence that claims no more than its intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

from jft_reps.errors import DataError
from jft_reps.studies.fits import curve as fits
from jft_reps.studies.fits import paired, power_law
from jft_reps.studies.fits.interval import Interval

Row = tuple[float, Hashable, float]
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_LISTED = 5  # seeds or sizes that were left out


def data_size(line: fits.LogLinear, metric: str, scale: float = 100.0, more: float = 10.0) -> str:
  """The gain per 10× pictures, with its interval, and what more pictures would give.

  There is no prediction where the gain is not separated from none, or changes with size.

  Args:
    line: the fit.
    metric: name of the number, e.g. "AP".
    scale: of the printed numbers; 100 prints points, 1 the raw values.
    more: times the largest size, to predict.
  """
  gain, curve = line.gain, line.curve
  told = f"{_signed(gain, scale)} {metric} per 10× pictures"
  if not curve.over_seeds:
    return f"No gain can be told: {told} {_of_one_seed(line, metric, scale)}."
  told += f", {_range(gain, curve, scale)}, {_basis(curve)}"
  if not gain.separated:
    return f"No gain can be told: {told}."
  if line.bend is not None and line.bend.separated:
    less = "falls" if line.bend.value * gain.value < 0 else "grows"
    return f"{told}; the gain {less} with size, so the line predicts nothing beyond the sizes."
  predicted = line.predicted(more * curve.pictures[-1])
  bends = (" with every bend that these sizes allow" if line.bend is not None
           else ", if the line goes on, which two sizes do not tell")
  return f"{told}; {_prediction(curve, predicted, 'line', metric, scale, more, bends)}."


def preference(found: power_law.PowerLaw, metric: str, scale: float = 100.0,
               more: float = 10.0) -> str:
  """Which of the line and the saturating curve the data prefer.

  If it is the curve: its asymptote and what it gives at `more` times the largest size, as far as
  their intervals are finite.
  """
  curve, asymptote = found.curve, found.asymptote
  seeds = f", by {_basis(curve)}"
  if found.preferred == "log-linear":
    return ("Over these sizes the data prefer the line in log10 of pictures to one that saturates"
            f"{seeds}.")
  if found.preferred == "neither":
    return ("The gain per 10× pictures grows with size: neither a line nor a curve that saturates"
            f"{seeds}.")
  if found.preferred == "not distinguishable":
    return f"A line in log10 of pictures and a curve that saturates are not distinguishable{seeds}."
  told = f"The data prefer a curve that saturates, but do not tell at what value{seeds}"
  if asymptote.bounded and _possible(asymptote, curve, scale):
    shown = _clipped(asymptote, curve, scale)
    told = (f"The data prefer a curve that saturates, at {_plain(shown, scale)} {metric}, "
            f"{_range(shown, curve, scale)}, {_basis(curve)}: an extrapolation")
  predicted = found.at(more * curve.pictures[-1])
  if predicted.bounded:
    told += f"; {_prediction(curve, predicted, 'curve', metric, scale, more)}"
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


def _prediction(curve: fits.Curve, predicted: Interval, name: str, metric: str, scale: float,
                more: float, condition: str = "") -> str:
  """What a line or curve gives at `more` times the largest size."""
  sizes = curve.pictures
  measured = f"{sizes[0]:,.0f} to {sizes[-1]:,.0f} measured"
  beyond = f", an extrapolation beyond the {measured}" if more > 1 else ""
  place = (f"{more:g}× {'more' if more > 1 else 'the largest size'} "
           f"({more * sizes[-1]:,.0f} pictures{beyond})")
  if not _possible(predicted, curve, scale):
    return f"at {place} the {name} leaves the range of {metric}, so it predicts nothing there"
  shown = _clipped(predicted, curve, scale)
  return (f"{place} is predicted to give {_plain(shown, scale)} {metric}, "
          f"{_range(shown, curve, scale)}{condition}")


def _limits(curve: fits.Curve, scale: float) -> tuple[float, float]:
  """What the metric can be: of a fraction, which is shown in percent, 0 to 1."""
  fraction = scale == 100 and all((0 <= v).all() and (v <= 1).all() for v in curve.values)
  return (0.0, 1.0) if fraction else (-math.inf, math.inf)


def _possible(interval: Interval, curve: fits.Curve, scale: float) -> bool:
  low, high = _limits(curve, scale)
  return low <= interval.value <= high


def _clipped(interval: Interval, curve: fits.Curve, scale: float) -> Interval:
  """The part of an interval that the metric can be."""
  return interval.clipped(*_limits(curve, scale))


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
