"""Value against the number of pictures: a line in log10 of pictures, with intervals over seeds.

The seeds are resampled within their sizes with Gaussian weights instead of counts, spread like
Student's t with as many degrees of freedom as there are seeds less one (a multiplier bootstrap).
Counts are no choice for few seeds: of three seeds trained at every size, no percentile interval
reaches beyond the smallest and largest slope, between which the true one lies in 75 of 100 draws.
A seed trained at several sizes has one weight, so what its sizes share (nested subsets, order of
pictures) is kept: with the same seeds everywhere the interval is that of the t-test on the seeds'
own slopes, valid for any noise over sizes. Seeds of their own at every size give Behrens and
Fisher's interval, on the wide side.

Of a study that is half done, `curve` keeps what has such an interval. One seed has none: its
scatter about a line holds nothing of what another seed adds to the slope.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from collections.abc import Hashable, Iterable, Mapping

import numpy as np

from jft_reps.errors import DataError
from jft_reps.studies.fits.interval import Interval

_DRAWS = 10_000


@dataclasses.dataclass(frozen=True)
class Curve:
  """Runs by size, those that are fitted.

  Attributes:
    pictures: [sizes], ascending.
    seeds: of each size.
    values: of each size, in the order of its seeds.
    confidence: of every interval.
    left_seeds: which are not at every size, and so not fitted.
    left_sizes: of one seed, and so not fitted.
  """

  pictures: np.ndarray
  seeds: tuple[tuple[Hashable, ...], ...]
  values: tuple[np.ndarray, ...]
  confidence: float = 0.95
  left_seeds: tuple[Hashable, ...] = ()
  left_sizes: tuple[float, ...] = ()

  @functools.cached_property
  def means(self) -> np.ndarray:
    """[sizes] of the values over seeds."""
    return np.array([v.mean() for v in self.values])

  @property
  def over_seeds(self) -> bool:
    """Whether every size has at least two seeds; if not, there are no intervals."""
    return min(map(len, self.values)) > 1

  @functools.cached_property
  def deviations(self) -> np.ndarray:
    """[draws, sizes] of resampled means from the means."""
    distinct = dict.fromkeys(seed for seeds in self.seeds for seed in seeds)
    names = {seed: i for i, seed in enumerate(distinct)}
    degrees = [len(v) - 1 for v in self.values]
    shared = len(names) < sum(map(len, self.seeds))
    weights, spread = _draws(len(names), (min(degrees),) if shared else tuple(degrees))
    drawn = [weights[:, [names[s] for s in seeds]] @ (v - v.mean()) / np.sqrt(len(v) * (len(v) - 1))
             for seeds, v in zip(self.seeds, self.values)]
    return np.stack(drawn, 1) * spread

  def half_width(self, weights: np.ndarray) -> float:
    """Of the interval of `weights @ means`, [sizes]; inf where a size has one seed."""
    if not self.over_seeds:
      return math.inf
    rounding = float(1e-12 * np.abs(weights) @ np.abs(self.means))
    return rounding + float(np.quantile(np.abs(self.deviations @ weights), self.confidence))

  def interval(self, weights: np.ndarray) -> Interval:
    """Of `weights @ means`, as `half_width`."""
    value, half = float(weights @ self.means), self.half_width(weights)
    return Interval(value, value - half, value + half)


@functools.lru_cache(maxsize=4)
def _draws(seeds: int, degrees: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
  """The same normal weights [draws, seeds] every time, and spreads [draws, degrees] of t."""
  rng = np.random.default_rng(0)
  return (rng.standard_normal((_DRAWS, seeds)),
          np.sqrt(np.array(degrees) / rng.chisquare(degrees, (_DRAWS, len(degrees)))))


def curve(rows: Iterable[tuple[float, Hashable, float]], confidence: float = 0.95) -> Curve:
  """Rows of (pictures, seed, value) by size: those of seeds at every size, if there are two.

  Else sizes of one seed are left out if two others remain, and again what is not at every size.
  A seed that stands at several sizes is taken as the same draw of everything: name the seeds of
  unrelated runs differently.

  Raises:
    DataError: as `by_size`; fewer than two sizes; no confidence.
  """
  sizes = by_size(rows)
  if len(sizes) < 2:
    raise DataError("fit-rows", "data-size curve", f"sizes {list(sizes)}",
                    "at least two different numbers of pictures")
  if not 0 < confidence < 1:
    raise DataError("fit-rows", "data-size curve", f"confidence {confidence}", "between 0 and 1")
  kept = _kept(sizes)
  fitted = {seed for values in kept.values() for seed in values}
  left = dict.fromkeys(seed for size in kept for seed in sizes[size] if seed not in fitted)
  return Curve(np.array(list(kept)), tuple(map(tuple, kept.values())),
               tuple(np.array(list(values.values())) for values in kept.values()), confidence,
               tuple(left), tuple(size for size in sizes if size not in kept))


def by_size(rows: Iterable[tuple[float, Hashable, float]]) -> dict[float, dict[Hashable, float]]:
  """Values by seed by size, ascending.

  Raises:
    DataError: a size that is not positive, a value that is not finite, the same size and seed
      twice.
  """
  sizes: dict[float, dict[Hashable, float]] = collections.defaultdict(dict)
  for i, row in enumerate(rows, 1):
    pictures, seed, value = _checked(row, f"row {i} of a data-size curve")
    if seed in sizes[pictures]:
      raise DataError("fit-rows", f"row {i} of a data-size curve",
                      f"{pictures:,.0f} pictures with seed {seed!r} again",
                      "one value per size and seed", "Leave out repeated runs.")
    sizes[pictures][seed] = value
  return dict(sorted(sizes.items()))


def _kept(sizes: Mapping[float, Mapping[Hashable, float]]) -> Mapping[float, Mapping]:
  """What `curve` fits of values by seed by size."""
  several = {size: values for size, values in sizes.items() if len(values) > 1}
  for among in (sizes, several):
    everywhere = set.intersection(*map(set, among.values())) if len(among) > 1 else ()
    if len(everywhere) > 1:
      return {size: {seed: v for seed, v in values.items() if seed in everywhere}
              for size, values in among.items()}
  return several if len(several) > 1 else sizes


def _checked(row: tuple[float, Hashable, float], where: str) -> tuple[float, Hashable, float]:
  """A row as (pictures, seed, value)."""
  try:
    pictures, seed, value = row
    hash(seed)
    pictures, value = float(pictures), float(value)
  except (TypeError, ValueError, OverflowError):
    raise DataError("fit-rows", where, repr(row), "numbers (pictures, seed, value)") from None
  if not (math.isfinite(pictures) and pictures > 0):
    raise DataError("fit-rows", where, f"{pictures} pictures", "a positive number")
  if not math.isfinite(value):
    raise DataError("fit-rows", where, f"value {value}", "a finite number",
                    "Leave out runs that have none.")
  return pictures, seed, value


@dataclasses.dataclass(frozen=True)
class LogLinear:
  """value = intercept + gain · log10(pictures), by least squares on the means of the sizes.

  Attributes:
    curve: what was fitted.
    intercept: value at one picture.
    gain: per 10× pictures.
    bend: how much the gain changes per 10×, of a parabola; None below three sizes.
  """

  curve: Curve
  intercept: float
  gain: Interval
  bend: Interval | None

  @property
  def scatter(self) -> float | None:
    """Standard deviation of the means about the line; None below three sizes."""
    design = _powers(self.curve, 1)
    if len(design) < 3:
      return None
    residuals = self.curve.means - design @ (np.linalg.pinv(design) @ self.curve.means)
    return float(math.sqrt(residuals @ residuals / (len(design) - 2)))

  def at(self, pictures: float) -> Interval:
    """The mean over seeds at a size, if the line holds there.

    Raises:
      DataError: the size is not positive.
    """
    if not (math.isfinite(pictures) and pictures > 0):
      raise DataError("fit-size", "line", f"{pictures} pictures", "a positive number")
    return self.curve.interval(np.log10(pictures) ** np.arange(2)
                               @ np.linalg.pinv(_powers(self.curve, 1)))


def log_linear(curve: Curve) -> LogLinear:
  """Fits a line in log10 of pictures; every size counts once, however many seeds it has."""
  weights = np.linalg.pinv(_powers(curve, 1))
  return LogLinear(curve, float(weights[0] @ curve.means), curve.interval(weights[1]),
                   bend(curve) if len(curve.pictures) > 2 else None)


def bend(curve: Curve) -> Interval:
  """How much the gain changes per 10×, of the parabola through at least three sizes."""
  return curve.interval(2 * np.linalg.pinv(_powers(curve, 2))[2])


def _powers(curve: Curve, degree: int) -> np.ndarray:
  """[sizes, degree + 1] of log10(pictures)^i."""
  return np.vander(np.log10(curve.pictures), degree + 1, increasing=True)
