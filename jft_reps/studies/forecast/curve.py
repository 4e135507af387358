"""A forecast from Python: `fit(sizes, values).at(sizes)`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jft_reps.errors import DataError
from jft_reps.studies.forecast import model, scale

MIDDLE_AND_ENDS = np.array([0.5, 0.025, 0.975])


class Fitted:
  """A curve that has been fitted.

  Attributes:
    sizes, values: what was given, sorted by size.
    scale: what the values are.
    largest: the largest size.
    seeds: values per size, on average; a foretold value is a mean of so many.
    posterior: see `model.Posterior`; its u is log(size / largest).
  """

  def __init__(self, sizes: np.ndarray, values: np.ndarray, ends: scale.Scale,
               priors: model.Priors | None = None):
    order = np.lexsort((values, sizes))
    self.sizes, self.values, self.scale = sizes[order], values[order], ends
    self.largest = float(self.sizes[-1])
    self.seeds = len(sizes) / len(np.unique(sizes))
    self.points = model.gather(self.sizes, ends.errors(self.values))
    self.posterior = model.Posterior(self.points, ends.largest_error, priors)

  def place(self, sizes: object) -> np.ndarray:
    """u of sizes."""
    array = np.atleast_1d(np.asarray(sizes, float))
    if not (np.isfinite(array).all() and (array > 0).all()):
      raise DataError("forecast-size", "sizes to forecast", f"{array.tolist()}"[:80],
                      "finite numbers above 0")
    return np.log(array) - np.log(self.largest)

  def at(self, sizes: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What would be measured at each size, in the units of the values.

    The interval holds a new measurement, averaged over as many seeds as the curve has per size,
    in 95 of 100 cases. Nothing is better than perfect or worse than chance.

    Args:
      sizes: one or more, above 0; below the largest is allowed.

    Returns:
      value (the median), low and high, `[sizes]` each.
    """
    logs = self.posterior.quantiles(self.place(sizes), MIDDLE_AND_ENDS, self.seeds)
    value, low, high = self.scale.values(np.exp(logs)).T
    return value, np.minimum(low, high), np.maximum(low, high)


def fit(sizes: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray,
        seeds: Sequence[object] | np.ndarray | None = None, higher_is_better: bool = False,
        best: float | None = None, chance: float | None = None,
        priors: model.Priors | None = None) -> Fitted:
  """Fits a learning curve.

  Args:
    sizes: pictures (or tokens, or steps) of each run, in any order; at least three different ones.
    values: what each run measured.
    seeds: names the seed of each run. Runs of one size are seeds of it with or without this; it
      is for callers that keep the three columns together, and only its length is looked at.
    higher_is_better: values are scores and no errors.
    best: perfect; default 0, of scores 1 (100 where a score is above 1).
    chance: guessing; default 1 for errors of at most 1, 0 for scores, otherwise unknown.
    priors: instead of those of `model.Priors`.

  Raises:
    DataError: fewer than three sizes, values that are no numbers or beyond best or chance.
  """
  x, y = np.asarray(sizes, float).ravel(), np.asarray(values, float).ravel()
  if len(x) != len(y) or (seeds is not None and len(seeds) != len(x)):
    raise DataError("curve-length", "curve", f"{len(x)} sizes and {len(y)} values"
                    + ("" if seeds is None else f" and {len(seeds)} seeds"), "as many of each")
  places = [f"value {i + 1}" for i in range(len(x))]
  scale.check_rows(x.tolist(), y.tolist(), places)
  return Fitted(x, y, scale.scale_of(y, places, higher_is_better, best, chance), priors)
