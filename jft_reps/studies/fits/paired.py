"""Paired comparisons over seeds: a difference with its interval, or that there is none to tell."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from jft_reps.errors import DataError
from jft_reps.studies.fits.interval import SeedMean, over_seeds

SEEDS = 5  # that an order of two arms takes
FEW = f"an order takes {SEEDS} seeds"


def difference(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> SeedMean:
  """The mean of first − second, one number per seed each, in the same order of seeds.

  Raises:
    DataError: other than as many of each, at least two, all finite.
  """
  a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
  if a.shape != b.shape or a.ndim != 1 or len(a) < 2 or not np.isfinite([a, b]).all():
    raise DataError("pairs", "paired difference", f"{list(a)} and {list(b)}",
                    "one finite number per seed each, of at least two seeds")
  return over_seeds(a - b, confidence)


def p_values(first: ArrayLike, second: ArrayLike) -> np.ndarray:
  """Two-sided p values of the paired t-test, [comparisons].

  Args:
    first, second: [seeds, comparisons] of at least two seeds.
  """
  from scipy import stats

  a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
  with warnings.catch_warnings():
    # SciPy warns of differences that are the same for every seed, of which p is 0 or none.
    warnings.simplefilter("ignore", RuntimeWarning)
    found = np.asarray(stats.ttest_rel(a, b).pvalue)
  # Where all differences are zero the statistic is 0/0; they tell nothing apart.
  return np.where((a == b).all(0), 1.0, found)
