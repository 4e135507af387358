"""Chosen learning rates that stand at the edge of those tried: a better one may lie outside.

A run that tried several leaves `dev … at rate R` for each of them, without a value where training
diverged, and `rate`, the one that it chose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TRIED = re.compile(r"dev .+ at rate (\d[\d.]*(?:e[+-]?\d+)?)")


def edge(numbers: Mapping[str, float | None]) -> str:
  """The chosen rate and those tried; "" if it is between two others that trained."""
  tried, chosen = _tried(numbers), numbers.get("rate")
  fine = sorted(rate for rate, trained in tried.items() if trained)
  if len(tried) < 2 or chosen is None or f"{chosen:g}" not in (f"{rate:g}" for rate in fine):
    return ""
  place = [f"{rate:g}" for rate in fine].index(f"{chosen:g}")
  if 0 < place < len(fine) - 1:
    return ""
  diverged = [f"{rate:g}" for rate, trained in sorted(tried.items()) if not trained]
  which = "only" if len(fine) == 1 else "highest" if place else "lowest"
  told = f"{chosen:g}, the {which} of {', '.join(f'{rate:g}' for rate in fine)}"
  return told + (f" ({', '.join(diverged)} diverged)" if diverged else "")


def _tried(numbers: Mapping[str, float | None]) -> dict[float, bool]:
  """Whether training at each rate gave a number."""
  found: dict[float, bool] = {}
  for name, value in numbers.items():
    match = _TRIED.fullmatch(name)
    if match and match[1].count(".") < 2:
      rate = float(match[1])
      found[rate] = found.get(rate, False) or value is not None
  return found
