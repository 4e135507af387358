"""What guessing gives on the evaluation sets of a page, as its runs have left it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from jft_reps.errors import DataError, printable
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.rows import PageRows

FILE, ARM = "chance.json", "guessing"
Guesses = Mapping[str, tuple[float, float]]  # by heading: the least and the greatest of the sets


def of_page(page: Page, rows: PageRows, notes: list[str]) -> Guesses:
  """By heading; without those that no run says, as runs of before do not.

  Args:
    page, rows: whose runs are asked.
    notes: takes what was left out.
  """
  found: dict[str, list[float]] = {}
  for result in {row.result.id: row.result for row in rows if row.result}.values():
    try:
      content = result.file(FILE)
    except DataError as error:
      notes.append(f"What guessing gives on the set of {printable(result.run.name)} is left out: "
                   f"{error.found}.")
      continue
    for name, heading in page.metrics.items():
      value = content.get(name)
      if isinstance(value, (int, float)) and math.isfinite(value):
        found.setdefault(heading, []).append(float(value))
  return {heading: (min(values), max(values)) for heading, values in found.items()}


def shown(guess: tuple[float, float] | None, factor: float, digits: int) -> str:
  """`2.0`, or `2.0 to 3.1` where runs were judged on sets of other frequencies."""
  if guess is None:
    return "n/a"
  low, high = (f"{value * factor:.{digits}f}" for value in guess)
  return low if low == high else f"{low} to {high}"
