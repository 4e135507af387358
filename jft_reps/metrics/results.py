"""What a metric of boxes or masks found: numbers with their definition, and a row per class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from jft_reps.errors import printable


@dataclasses.dataclass(frozen=True)
class Result:
  """One evaluation. What is undefined is None: never 0, -1 or NaN.

  Attributes:
    numbers: the metric's numbers in [0, 1], by their usual names.
    per_class: columns by name for each label.
    undefined: classes with nothing to count, left out of every mean: no true box, or no pixel.
    pictures: pictures counted.
    excluded: pictures left out by id.
    definition: one line that says what the numbers are.
  """

  numbers: Mapping[str, float | None]
  per_class: Mapping[str, Mapping[str, float | int | None]]
  undefined: int
  pictures: int
  excluded: int
  definition: str

  def scalars(self, prefix: str = "") -> dict[str, float]:
    """What to plot, by name; numbers that are undefined are absent."""
    return {prefix + name: value for name, value in self.numbers.items() if value is not None}

  def table(self) -> str:
    """The definition, the numbers and the classes as text; what is undefined reads `n/a`."""
    lines = [self.definition]
    room = max([12, *(len(name) + 2 for name in self.numbers)])
    lines += [f"{name:<{room}}{_cell(value)}" for name, value in self.numbers.items()]
    columns = list(next(iter(self.per_class.values()), {}))
    names = {label: printable(label, 40) for label in self.per_class}
    width = max([len("class"), *map(len, names.values())])
    lines.append(" ".join([f"{'class':<{width}}", *(f"{c:>10}" for c in columns)]))
    for label, row in self.per_class.items():
      lines.append(" ".join([f"{names[label]:<{width}}",
                             *(f"{_cell(row[c]):>10}" for c in columns)]))
    return "\n".join(lines) + "\n"


def mean(values: list[float | None]) -> float | None:
  """Mean of what is defined; None if nothing is."""
  defined = [value for value in values if value is not None]
  return sum(defined) / len(defined) if defined else None


def _cell(value: float | int | None) -> str:
  if value is None:
    return "n/a"
  return str(value) if isinstance(value, int) else f"{value:.4f}"
