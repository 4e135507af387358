"""What values are: errors or scores, where they end, and what cannot be forecast."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from jft_reps.errors import DataError, printable

LEAST_SIZES = 3
MIXED = 20.0  # neighbours in value of which one is above 1 and so many times the other: two units


@dataclasses.dataclass(frozen=True)
class Scale:
  """Between values of the user and errors: 0 is perfect, 1 is chance where that is known.

  Attributes:
    higher_is_better: values are scores.
    best: value of a perfect result.
    chance: value of guessing; None: unknown, and then nothing bounds it.
    unit: error of 1 in values.
  """

  higher_is_better: bool
  best: float
  chance: float | None
  unit: float

  @property
  def largest_error(self) -> float:
    return math.inf if self.chance is None else 1.0

  def errors(self, values: np.ndarray) -> np.ndarray:
    return (self.best - values if self.higher_is_better else values - self.best) / self.unit

  def values(self, errors: np.ndarray) -> np.ndarray:
    errors = np.minimum(errors, self.largest_error) * self.unit
    return self.best - errors if self.higher_is_better else self.best + errors


def check_rows(sizes: Sequence[float], values: Sequence[float], places: Sequence[str]) -> None:
  """Refuses what is no curve.

  Raises:
    DataError: naming the place of the first value that is wrong.
  """
  for size, value, place in zip(sizes, values, places):
    if not math.isfinite(size) or size <= 0:
      raise DataError("curve-size", place, f"size {size:g}", "a finite number above 0",
                      "Give the number of training pictures.")
    if not math.isfinite(value):
      raise DataError("curve-value", place, f"value {value:g}", "a finite number",
                      "Leave out runs that failed.")
  distinct = len(set(sizes))
  if distinct < LEAST_SIZES:
    where = places[0].rpartition(":")[0] if places else ""
    raise DataError("curve-short", where or "curve", f"{distinct} different sizes",
                    f"at least {LEAST_SIZES}",
                    "Train with more sizes: two cannot say how a curve bends, and seeds of one "
                    "size cannot say how it falls.")


def scale_of(values: np.ndarray, places: Sequence[str], higher_is_better: bool = False,
             best: float | None = None, chance: float | None = None) -> Scale:
  """The scale of values, its ends assumed where they are not given.

  Errors end at 0 and, where all are at most 1, at a chance of 1. Scores end at 1, or at 100 where
  one is above 1, and at a chance of 0.

  Raises:
    DataError: values beyond `best` or `chance`, percent beside fractions, or ends that contradict.
  """
  high = float(values.max())
  if chance is None:
    _check_units(values, places)
  if best is None:
    best = 0.0 if not higher_is_better else 1.0 if high <= 1 else 100.0
  if chance is None and (higher_is_better or high <= 1):
    chance = 0.0 if higher_is_better else 1.0
  sign = -1.0 if higher_is_better else 1.0
  if chance is not None and not sign * (chance - best) > 0:
    raise DataError("curve-ends", "curve", f"chance {chance:g} and best {best:g}",
                    "a chance below the best score" if higher_is_better else
                    "a chance above the smallest error",
                    "See --best, --chance and --higher_is_better.")
  for value, place in zip(values, places):
    if sign * (value - best) <= 0:
      raise DataError("curve-best", place, f"value {value:g}",
                      f"{'below' if higher_is_better else 'above'} the best possible, {best:g}",
                      "Nothing is left to forecast there, or --best or --higher_is_better is "
                      "missing.")
    if chance is not None and sign * (value - chance) > 0:
      raise DataError("curve-chance", place, f"value {value:g}",
                      f"no worse than chance, {chance:g}",
                      "Leave out runs that learnt nothing, or give --chance.")
  # Without chance the unit is the worst value, so that the unit of a loss changes nothing.
  unit = abs(chance - best) if chance is not None else float(abs(values - best).max())
  return Scale(higher_is_better, best, chance, unit)


def _check_units(values: np.ndarray, places: Sequence[str]) -> None:
  """Refuses percent beside fractions; a loss that falls from 5 to 0.05 has no such gap."""
  order = np.argsort(values)
  for one, next_one in zip(order, order[1:]):
    if 0 < values[one] <= 1 < values[next_one] and values[next_one] > MIXED * values[one]:
      raise DataError("curve-units", places[one],
                      f"{values[one]:g} beside {values[next_one]:g} ({places[next_one]})",
                      "one unit", "These look like percent beside fractions. If they are not, "
                      "give --chance.")


def label(text: object) -> str:
  """A stranger's name on one line of a terminal, table or picture."""
  return printable(text, 60)
