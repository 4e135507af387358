"""An estimate with its interval, and the mean over seeds with that of Student's t."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

AnInterval = TypeVar("AnInterval", bound="Interval")


@dataclasses.dataclass(frozen=True)
class Interval:
  """An estimate with its interval; ±inf where the data set no bound."""

  value: float
  low: float
  high: float

  @property
  def separated(self) -> bool:
    """Whether the interval leaves zero out."""
    return self.low > 0 or self.high < 0

  @property
  def bounded(self) -> bool:
    """Whether value and both ends are finite."""
    return all(map(math.isfinite, (self.value, self.low, self.high)))

  def clipped(self: AnInterval, low: float, high: float) -> AnInterval:
    """The same, with ends that do not lie outside of what is possible."""
    return dataclasses.replace(self, low=max(low, self.low), high=min(high, self.high))


@dataclasses.dataclass(frozen=True)
class SeedMean(Interval):
  """A mean over seeds; one seed gives no bound.

  Attributes:
    seeds: how many.
    confidence: of the interval.
  """

  seeds: int
  confidence: float


def over_seeds(values: ArrayLike, confidence: float = 0.95) -> SeedMean:
  """Mean and interval by Student's t of finite values, one per seed, at least one."""
  each = np.asarray(values, np.float64)
  mean, half = float(each.mean()), math.inf
  if len(each) > 1:
    half = _quantile(confidence, len(each) - 1) * float(each.std(ddof=1)) / math.sqrt(len(each))
  return SeedMean(mean, mean - half, mean + half, len(each), confidence)


@functools.cache  # SciPy takes 0.1 ms, and a report asks for it per class
def _quantile(confidence: float, degrees: int) -> float:
  """Half of Student's t interval in standard errors."""
  from scipy import stats

  return float(stats.t.ppf((1 + confidence) / 2, degrees))
