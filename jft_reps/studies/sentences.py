"""What a fitted curve says, in one plain sentence that claims no more than its intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable

from jft_reps.errors import DataError
from jft_reps.studies import fits, power_law

Row = tuple[float, Hashable, float]
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def data_size(line: fits.LogLinear, metric: str, scale: float = 100.0, more: float = 10.0) -> str:
  """The gain per 10× pictures, with its interval, and what more pictures would give.

  Args:
    line: the fit.
    metric: name of the number, e.g. "AP".
    scale: of the printed numbers; 100 prints points, 1 the raw values.
    more: times the largest size, to predict.
  """
  gain, curve = line.gain, line.curve
  if math.isinf(gain.high):
    return (f"No gain can be told: {_signed(gain, scale)} {metric} per 10× pictures "
            "between two sizes of one seed, which give no interval.")
  told = (f"{_signed(gain, scale)} {metric} per 10× pictures, {_range(gain, curve, scale)}, "
          f"{_basis(curve)}")
  if not gain.separated:
    return f"No gain can be told: {told}."
  sentence = f"{told}; {_prediction(line, metric, scale, more)}"
  if line.bend is not None and line.bend.separated:
    less = "falls" if line.bend.value * gain.value < 0 else "grows"
    sentence += f" But the gain {less} with size, so the line is no guide beyond the sizes."
  return sentence


def preference(found: power_law.PowerLaw, metric: str, scale: float = 100.0) -> str:
  """Which of the line and the saturating curve the data prefer, and the asymptote if they do."""
  if found.preferred == "log-linear":
    return "Over these sizes the data prefer the line in log10 of pictures to one that saturates."
  if found.preferred == "neither":
    return "The gain per 10× pictures grows with size: neither a line nor a curve that saturates."
  if found.preferred == "not distinguishable":
    return "A line in log10 of pictures and a curve that saturates are not distinguishable."
  asymptote = found.asymptote
  if math.isinf(asymptote.value) or not (math.isfinite(asymptote.low + asymptote.high)):
    return "The data prefer a curve that saturates, but do not tell at what value."
  return ("The data prefer a curve that saturates, at "
          f"{asymptote.value * scale:.{_digits(asymptote, scale)}f} {metric}, "
          f"{_range(asymptote, found.curve, scale)}: an extrapolation.")


def comparison(first: Iterable[Row], second: Iterable[Row], names: tuple[str, str], metric: str,
               scale: float = 100.0, confidence: float = 0.95) -> str:
  """Which of two curves gains more per 10× pictures, paired by size and seed.

  Raises:
    DataError: the two are not of the same sizes and seeds, or are no curves.
  """
  a, b = fits.curve(first, confidence), fits.curve(second, confidence)
  keys = [[(size, seed) for size, seeds in zip(c.pictures, c.seeds) for seed in seeds]
          for c in (a, b)]
  if set(keys[0]) != set(keys[1]):
    raise DataError("fit-rows", f"{names[0]} and {names[1]}", "other sizes or seeds in one of them",
                    "the same sizes and seeds in both", "Leave out runs without a partner.")
  values = [dict(zip(k, (v for each in c.values for v in each))) for k, c in zip(keys, (a, b))]
  rows = [(size, seed, values[0][size, seed] - values[1][size, seed]) for size, seed in keys[0]]
  gain = fits.log_linear(fits.curve(rows, confidence)).gain
  if not gain.separated:
    told = "" if math.isinf(gain.high) else f", {_range(gain, a, scale)}"
    return (f"Which of {names[0]} and {names[1]} gains more per 10× pictures cannot be told: "
            f"{_signed(gain, scale)} {metric}{told}, {_basis(a)}.")
  more, less = names
  if gain.value < 0:
    more, less, gain = less, more, fits.Interval(-gain.value, -gain.high, -gain.low)
  return (f"{more} gains {_signed(gain, scale)} {metric} per 10× pictures more than {less}, "
          f"{_range(gain, a, scale)}, {_basis(a)}.")


def _prediction(line: fits.LogLinear, metric: str, scale: float, more: float) -> str:
  """What the line gives at `more` times the largest size."""
  sizes = line.curve.pictures
  predicted = line.at(more * sizes[-1])
  measured = f"{sizes[0]:,.0f} to {sizes[-1]:,.0f} measured"
  beyond = f", an extrapolation beyond the {measured}" if more > 1 else ""
  return (f"{more:g}× {'more' if more > 1 else 'the largest size'} "
          f"({more * sizes[-1]:,.0f} pictures{beyond}) is predicted to give "
          f"{predicted.value * scale:.{_digits(predicted, scale)}f} {metric}, "
          f"{_range(predicted, line.curve, scale)}.")


def _basis(curve: fits.Curve) -> str:
  """What the interval is over."""
  fewest, most = (f(map(len, curve.seeds)) for f in (min, max))
  if fewest == 1:
    seed = "one seed" if most == 1 else "one seed at some sizes"
    return f"{seed}: of the scatter about the line, no interval over seeds"
  word = lambda n: _NUMBERS[n] if n < len(_NUMBERS) else str(n)
  return f"{word(fewest)} {'' if fewest == most else f'to {word(most)} '}seeds"


def _range(interval: fits.Interval, curve: fits.Curve, scale: float) -> str:
  digits = _digits(interval, scale)
  low, high = (f"{v * scale:.{digits}f}".replace("-", "−") for v in (interval.low, interval.high))
  return f"{curve.confidence * 100:g} % interval {low} to {high}"


def _signed(interval: fits.Interval, scale: float) -> str:
  return f"{interval.value * scale:+.{_digits(interval, scale)}f}".replace("-", "−")


def _digits(interval: fits.Interval, scale: float) -> int:
  """Decimals that show half the interval, and its ends on their side of zero."""
  shown = [(interval.high - interval.low) / 2, interval.low, interval.high]
  shown = [abs(v) * scale for v in shown if math.isfinite(v)]
  shown = [v for v in shown if v > 1e-9]
  if not shown:
    return 1 if scale != 1 else 3
  return min(6, max(1, math.ceil(-math.log10(min(shown) / 2))))
