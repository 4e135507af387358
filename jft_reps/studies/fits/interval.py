"""An estimate with its interval."""

from __future__ import annotations

import dataclasses


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
