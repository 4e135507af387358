"""A curve that saturates, asymptote − d · pictures^−exponent, beside the line in log10.

The line is its limit at exponent 0, where the asymptote is infinite. With the exponent held, the
curve is linear, so the fit is a search over one number. Intervals come from turning score tests
round: an asymptote is inside if, with the curve that fits best under it, the means do not leave
it by more than their noise; likewise an exponent. They stay right where the curve is close to a
line and the asymptote far away, where intervals of a few resampled fits do not.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np

from jft_reps.errors import DataError
from jft_reps.studies.fits import curve as fits
from jft_reps.studies.fits.interval import Interval

SIZES = 6
Preference = Literal["log-linear", "saturating", "not distinguishable", "neither"]
# Exponents times ln(largest / smallest size): over the sizes a gain falls by 2 %, or to nothing.
_SHAPES = np.geomspace(0.02, 30, 100)


@dataclasses.dataclass(frozen=True)
class PowerLaw:
  """value = asymptote − scale · (pictures / largest size)^−exponent.

  Attributes:
    curve: what was fitted.
    asymptote: value of endless pictures; ±inf where the curve could be a line.
    scale: what is left to gain at the largest size.
    exponent: 0 is the line.
    preferred: `saturating` if the means bend off the line towards an asymptote by more than their
      noise, `neither` if the other way; `log-linear` if the interval of the bend holds zero and
      nothing by which the gain would halve or double over the sizes; else `not distinguishable`.
  """

  curve: fits.Curve
  asymptote: Interval
  scale: float
  exponent: Interval
  preferred: Preference

  def at(self, pictures: float) -> Interval:
    """The mean over seeds that the curve predicts at a size.

    Raises:
      DataError: the size is below the smallest.
    """
    if not (math.isfinite(pictures) and pictures >= self.curve.pictures[0]):
      raise DataError("fit-size", "prediction", f"{pictures} pictures",
                      f"at least {self.curve.pictures[0]:,.0f}, the smallest size")
    span = _span(self.curve)
    target = math.log(pictures / self.curve.pictures[0]) / span
    found, _ = _profile(self.curve, self.exponent.value * span, target)
    if self.exponent.low > 0:
      return found
    line = fits.log_linear(self.curve).at(pictures)
    return Interval(found.value, min(found.low, line.low), max(found.high, line.high))


def saturating(curve: fits.Curve) -> PowerLaw:
  """Fits the power law and says which of it and the line the data prefer.

  Raises:
    DataError: fewer than six sizes.
  """
  if len(curve.pictures) < SIZES:
    raise DataError("fit-sizes", "saturating curve", f"{len(curve.pictures)} sizes",
                    f"at least {SIZES}", "Use the line.")
  line, shape, span = fits.log_linear(curve), _best_shape(curve), _span(curve)
  bend = fits.bend(curve)
  preferred = _preferred(line.gain, bend, span / math.log(10))
  lowest, highest = _shapes(curve, shape)
  exponent = Interval(shape / span, lowest / span if bend.separated else 0.0, highest / span)
  terms = _terms(curve, shape, math.inf)[:, :2]
  scale = -(np.linalg.pinv(terms) @ curve.means)[1] * math.exp(-shape)
  return PowerLaw(curve, _asymptote(curve, shape, line, preferred), float(scale), exponent,
                  preferred)


def _preferred(gain: Interval, bend: Interval, decades: float) -> Preference:
  if bend.separated:
    return "saturating" if bend.value * gain.value < 0 else "neither"
  change = max(abs(bend.low), abs(bend.high)) * decades / 2
  # Ends at (gain ± change), one at most twice the other.
  steady = gain.separated and change < abs(gain.value) / 3
  return "log-linear" if steady else "not distinguishable"


def _asymptote(curve: fits.Curve, shape: float, line: fits.LogLinear,
               preferred: Preference) -> Interval:
  """Unbounded where a line passes; on both sides if it may rise or fall, or bends away."""
  found, line_passes = _profile(curve, shape, math.inf)
  if preferred == "neither" or (line_passes and not line.gain.separated):
    return Interval(found.value, -math.inf, math.inf)
  if not line_passes:
    return found
  if line.gain.value > 0:
    return Interval(found.value, found.low, math.inf)
  return Interval(found.value, -math.inf, found.high)


def _span(curve: fits.Curve) -> float:
  """ln of the largest over the smallest size."""
  return math.log(curve.pictures[-1] / curve.pictures[0])


def _terms(curve: fits.Curve, shape: float, target: float) -> np.ndarray:
  """[sizes, 3] of 1, the decay less what it is at `target`, and its derivative by `shape`.

  The first coefficient is the value at the target, in ranges of ln(pictures) from the smallest
  size on; inf is the asymptote.
  """
  u = np.log(curve.pictures / curve.pictures[0]) / _span(curve)
  decay = np.exp(-shape * u)
  rest = math.exp(-min(shape * target, 700))
  slope = 0.0 if math.isinf(target) else target * rest
  rest = 0.0 if math.isinf(target) else rest
  return np.stack([np.ones_like(u), decay - rest, slope - u * decay], 1)


def _best_shape(curve: fits.Curve) -> float:
  """The shape of least squares: the best of all starts, refined between its neighbours."""
  from scipy import optimize

  def left(shape: float) -> float:
    terms = _terms(curve, shape, math.inf)[:, :2]
    residuals = curve.means - terms @ np.linalg.lstsq(terms, curve.means, rcond=None)[0]
    return float(residuals @ residuals)

  best = int(np.argmin([left(shape) for shape in _SHAPES]))
  bounds = _SHAPES[max(best - 1, 0)], _SHAPES[min(best + 1, len(_SHAPES) - 1)]
  found = optimize.minimize_scalar(left, bounds=bounds, method="bounded").x
  return float(min((found, _SHAPES[best]), key=left))


def _grid(best: float) -> np.ndarray:
  """All shapes and the best, which precise numbers may be the only one to allow."""
  return np.sort(np.append(_SHAPES, best))


def _profile(curve: fits.Curve, best: float, target: float) -> tuple[Interval, bool]:
  """The value at a target by the score test of every shape, and whether a line passes it."""
  def scored(shape: float) -> tuple[float, float]:
    terms = _terms(curve, shape, target)
    weights = np.linalg.pinv(terms)[0]
    value = np.linalg.solve(terms[:, 1:].T @ terms[:, :2], terms[:, 1:].T @ curve.means)[0]
    return value, abs(weights @ curve.means - value) - curve.half_width(weights)

  terms = _terms(curve, best, target)[:, :2]
  value = float((np.linalg.pinv(terms) @ curve.means)[0])
  values, margins = zip(*(scored(shape) for shape in _grid(best)))
  inside = _inside(np.array(values), np.array(margins)) + [value]
  line_passes = margins[0] <= 0 or best <= 1.01 * _SHAPES[0]
  return Interval(value, min(inside), max(inside)), bool(line_passes)


def _shapes(curve: fits.Curve, best: float) -> tuple[float, float]:
  """Smallest and largest shape whose derivative the means do not ask for."""
  def margin(shape: float) -> float:
    terms = _terms(curve, shape, math.inf)
    weights = np.linalg.pinv(terms)[2]
    return abs(weights @ curve.means) - curve.half_width(weights)

  shapes = _grid(best)
  inside = _inside(shapes, np.array([margin(shape) for shape in shapes])) + [best]
  return min(inside), max(inside)


def _inside(values: np.ndarray, margins: np.ndarray) -> list[float]:
  """The values whose margin is not above zero, and where it crosses zero between two of them."""
  crossed = np.flatnonzero((margins[:-1] <= 0) != (margins[1:] <= 0))
  part = margins[crossed] / (margins[crossed] - margins[crossed + 1])
  ends = values[crossed] + part * (values[crossed + 1] - values[crossed])
  return [float(v) for v in (*values[margins <= 0], *ends)]
