"""Chosen learning rates that stand at the edge of those tried: a better one may lie outside.

A run that tried several leaves `dev … at rate R` for each of them, without a value where training
diverged, and `rate`, the one that it chose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TRIED = re.compile(r"dev .+ at rate (\d[\d.]*(?:e[+-]?\d+)?)")


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


def tried(numbers: Mapping[str, float | None]) -> dict[float, bool]:
  """Whether training at each rate gave a number."""
  found: dict[float, bool] = {}
  for name, value in numbers.items():
    match = _TRIED.fullmatch(name)
    if match and match[1].count(".") < 2:
      rate = float(match[1])
      found[rate] = found.get(rate, False) or value is not None
  return found
