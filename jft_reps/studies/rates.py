"""Learning rates that a run tried: which is the best, where to look further, what to fall back on.

A run that tried several leaves a number `dev … at rate R` for each of them, without a value where
training diverged, and `rate`, the one that it chose. A score is what chooses, the higher the
better; None or not finite: training diverged, or there is no such number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

Scores = Mapping[float, float | None]

_TRIED = re.compile(r"dev .+ at rate (\d[\d.]*(?:e[+-]?\d+)?)")


def best(scores: Scores) -> float | None:
  """The rate of the highest score; None: none has one."""
  fine = {rate: score for rate, score in scores.items()
          if score is not None and math.isfinite(score)}
  return max(fine, key=fine.__getitem__) if fine else None


def beyond(scores: Scores) -> float | None:
  """The rate to try next where the best is the lowest or highest of all: as far again beyond it.

  None: the best is between two others, of which one may have diverged, or there are not two.
  """
  chosen, rates = best(scores), sorted(scores)
  if chosen is None or len(rates) < 2 or rates[0] < chosen < rates[-1]:
    return None
  neighbour = rates[1] if chosen == rates[0] else rates[-2]
  # Two digits, since the rate is part of file names and of the names of numbers.
  return float(f"{chosen * chosen / neighbour:.2g}")


def fallbacks(numbers: Mapping[str, float | None]) -> list[float]:
  """The rate that another run chose, and then the lower ones that it tried, from its numbers.

  Raises:
    KeyError: it chose none.
  """
  chosen = numbers["rate"]
  if chosen is None:
    raise KeyError("rate")
  return [chosen, *sorted((rate for rate in tried(numbers) if rate < chosen), reverse=True)]


def number_at(number: str, rate: float) -> str:
  """Name of what a number of the development split is after training at a rate."""
  return f"dev {number} at rate {rate:g}"


def tried(numbers: Mapping[str, float | None]) -> dict[float, bool]:
  """Whether training at each rate gave a number, by `number_at`."""
  found: dict[float, bool] = {}
  for name, value in numbers.items():
    match = _TRIED.fullmatch(name)
    if match and match[1].count(".") < 2:
      rate = float(match[1])
      found[rate] = found.get(rate, False) or value is not None
  return found


def edge(numbers: Mapping[str, float | None]) -> str:
  """The chosen rate and those tried; "" if it is between two others, of which one may diverge."""
  found, chosen = tried(numbers), numbers.get("rate")
  rates = [f"{rate:g}" for rate in sorted(found)]
  if len(rates) < 2 or chosen is None or f"{chosen:g}" not in (rates[0], rates[-1]):
    return ""
  diverged = [f"{rate:g}" for rate, trained in sorted(found.items()) if not trained]
  which = "lowest" if f"{chosen:g}" == rates[0] else "highest"
  return (f"{chosen:g}, the {which} of {', '.join(rates)}"
          + (f" ({', '.join(diverged)} diverged)" if diverged else ""))
