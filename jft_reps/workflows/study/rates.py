"""Learning rates that a transfer tries: which is the best, and where to look further.

A score is what chooses, the higher the better; None or not finite: training diverged, or there is
no such number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from jft_reps.studies.report import rates as report_rates

Scores = Mapping[float, float | None]


def best(scores: Scores) -> float | None:
  """The rate of the highest score; None: none has one."""
  fine = [rate for rate, score in scores.items() if score is not None and math.isfinite(score)]
  return max(fine, key=lambda rate: scores[rate]) if fine else None


def beyond(scores: Scores) -> float | None:
  """The rate to try next where the best is the lowest or highest of all: as far again beyond it.

  None: the best is between two others, of which one may have diverged, or there are not two.
  """
  chosen, rates = best(scores), sorted(scores)
  if chosen is None or len(rates) < 2 or rates[0] < chosen < rates[-1]:
    return None
  neighbour = rates[1] if chosen == rates[0] else rates[-2]
  return float(f"{chosen * chosen / neighbour:.2g}")


def fallbacks(numbers: Mapping[str, float | None]) -> list[float]:
  """The rate that another run chose, and then the lower ones that it tried, from its numbers."""
  chosen = numbers["rate"]
  lower = (rate for rate in report_rates.tried(numbers) if rate < chosen)
  return [chosen, *sorted(lower, reverse=True)]
