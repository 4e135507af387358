"""What more pictures would bring, for a page of values against pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jft_reps.errors import DataError
from jft_reps.studies.forecast import answers, curve, scale
from jft_reps.studies.forecast.answers import Forecast
from jft_reps.studies.report import tables
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.rows import PageRows
from jft_reps.studies.report.tables import Table

TITLE = "What more data would bring"


def of_page(page: Page, rows: PageRows, **asked: object) -> tuple[list[Forecast], list[str]]:
  """A forecast of the first metric for each arm with three sizes or more.

  Args:
    page: with pictures on its x axis; else there is nothing to foretell.
    rows: of the page.
    **asked: as `answers.answer` takes it, in the unit of the page's tables (percent of fractions).

  Returns:
    The forecasts, and why an arm has none.
  """
  found: list[Forecast] = []
  without: list[str] = []
  if page.x != "pictures" or not rows:
    return found, without
  heading = next(iter(page.metrics.values()))
  factor = tables.scale(page, rows, heading)
  for arm in page.arms:
    runs = [(size, value * factor) for size in rows.sizes(arm)
            for value in rows.by_seed(arm, heading, size).values()]
    places = [f"{arm} at {size:,.0f} pictures" for size, _ in runs]
    try:
      scale.check_rows([size for size, _ in runs], [value for _, value in runs], places)
      sizes, values = np.array(runs).T
      best = factor if page.higher_is_better and factor > 1 else None
      chance = None if page.chance is None else page.chance * factor
      ends = scale.scale_of(values, places, page.higher_is_better, best, chance)
      found.append(answers.answer(curve.Fitted(sizes, values, ends), arm,
                                  tables.unit(heading, factor), **asked))  # type: ignore[arg-type]
    except DataError as error:
      without.append(f"{arm}: no forecast ({error.found}; expected {error.expected}).")
  return found, without


def sentences(forecasts: Sequence[Forecast]) -> list[str]:
  """The answer of each arm, and how its back-test ended."""
  return [f"{one.name}: {said}." for one in forecasts
          for said in (one.sentence, *answers.asides(one))]


def table(forecasts: Sequence[Forecast]) -> Table:
  """Expected values with their intervals, one row per arm and size."""
  return Table(("arm", "pictures", "times", "expected", "95 % interval"), [
      (one.name, answers.count(row.size), f"{row.factor:.3g}×", answers.number(row.value),
       f"{answers.number(row.low)} to {answers.number(row.high)}")
      for one in forecasts for row in one.predictions])
