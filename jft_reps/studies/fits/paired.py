"""Paired comparisons over seeds: a difference with its interval, or that there is none to tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from jft_reps.errors import DataError
from jft_reps.studies.fits.interval import Interval

SEEDS = 5  # that an order of two arms takes
FEW = f"an order takes {SEEDS} seeds"


@dataclasses.dataclass(frozen=True)
class Difference(Interval):
  """Mean difference of two arms, first − second, with its interval by Student's t over seeds.

  Attributes:
    seeds: number of pairs.
    confidence: of the interval.
  """

  seeds: int
  confidence: float

  def __str__(self) -> str:
    text = (f"{self.value:+.3f} ({self.confidence:.0%} interval {self.low:+.3f} to "
            f"{self.high:+.3f}, {self.seeds} seeds)")
    return text if self.separated else f"{text}: not separated"


def difference(first: Sequence[float], second: Sequence[float],
               confidence: float = 0.95) -> Difference:
  """The paired difference of two arms, one number per seed each, in the same order of seeds.

  Raises:
    DataError: other than as many of each, at least two, all finite.
  """
  from scipy import stats

  a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
  if a.shape != b.shape or a.ndim != 1 or len(a) < 2 or not np.isfinite([a, b]).all():
    raise DataError("pairs", "paired difference", f"{list(a)} and {list(b)}",
                    "one finite number per seed each, of at least two seeds")
  each = a - b
  half = stats.t.ppf((1 + confidence) / 2, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each))
  return Difference(float(each.mean()), float(each.mean() - half), float(each.mean() + half),
                    len(each), confidence)
