"""Rows of a page: a value per heading, by arm, seed and what stands on the x axis; CSV of them."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from jft_reps.errors import DataError, printable
from jft_reps.studies import rates
from jft_reps.studies.report.pages import Page
from jft_reps.studies.running import results as report_runs
from jft_reps.studies.running.results import RunResult

_AT_STEP = re.compile(r"(.+) at step (\d{1,15})")
_LARGEST = 1 << 26  # bytes of a CSV
_ENORMOUS = 1e12  # which no metric is
_STEPS = 1000  # of a training curve; of a longer one every so many-th, back from the last


@dataclasses.dataclass(frozen=True)
class Row:
  """What came out of a run.

  Attributes:
    arm: label of the page's arm.
    seed: as text.
    x: pictures or step; None in a table of arms.
    values: by heading, of six significant digits; None: there is none.
    rate: learning rate that was chosen.
    edge: where it is the lowest or highest of those tried, which these are.
    result: the run; None if the row comes from a CSV.
  """

  arm: str
  seed: str
  x: float | None
  values: Mapping[str, float | None]
  rate: float | None = None
  edge: str = ""
  result: RunResult | None = dataclasses.field(default=None, compare=False)


class PageRows(list[Row]):
  """Rows in the order of the page: by arm, x and seed; they stay as they are."""

  def __init__(self, page: Page, rows: Iterable[Row]):
    super().__init__(sorted(rows, key=lambda row: _place(page, row)))
    self._at: dict[str, dict[float | None, list[Row]]] = {}
    for row in self:
      self._at.setdefault(row.arm, {}).setdefault(row.x, []).append(row)

  def at(self, arm: str, x: float | None = None) -> list[Row]:
    """Of an arm at an x."""
    return self._at.get(arm, {}).get(x, [])

  def sizes(self, arm: str | None = None) -> list[float]:
    """What stands on the x axis, of an arm or of all, ascending."""
    arms = self._at if arm is None else [arm]
    return sorted({x for a in arms for x in self._at.get(a, ()) if x is not None})

  def by_seed(self, arm: str, heading: str, x: float | None = None) -> dict[str, float]:
    """The finite values of an arm at an x by seed."""
    return {row.seed: value for row in self.at(arm, x)
            if (value := row.values.get(heading)) is not None}

  def paired(self, pair: tuple[str, str], heading: str,
             x: float | None = None) -> tuple[list[float], list[float]]:
    """The values of two arms at an x, of the seeds that both have."""
    first, second = (self.by_seed(arm, heading, x) for arm in pair)
    seeds = [seed for seed in first if seed in second]
    return [first[seed] for seed in seeds], [second[seed] for seed in seeds]


def members(page: Page, results: Iterable[RunResult]) -> list[tuple[str, RunResult]]:
  """The runs of a page with the labels of their arms, whether they are done or not."""
  return [(arm, result) for arm, tags in page.arms.items() for result in results
          if result.run.matches(tags)]


def rows(page: Page, results: Iterable[RunResult]) -> tuple[PageRows, list[str]]:
  """The rows of a page's runs that are done, and what was left out."""
  found: dict[tuple, Row] = {}
  notes: list[str] = []
  without = 0
  for arm, result in members(page, list(results)):
    if result.status != report_runs.DONE:
      continue
    of_run = list(_of_run(page, arm, result))
    without += not of_run
    for row in of_run:
      first = found.setdefault((arm, row.seed, row.x), row)
      other = first.result
      if other is not None and other.id != result.id:
        notes.append(f"{arm}, seed {row.seed}: {printable(result.run.name)} is left out, since "
                     f"{printable(other.run.name)} stands there.")
  if without:
    notes.append(f"{without} runs are done but have no "
                 f"{'number' if page.x in ('', 'step') else page.x + ' or number'} of this page.")
  return PageRows(page, found.values()), list(dict.fromkeys(notes))


def csv_text(page: Page, rows: Sequence[Row]) -> str:
  """The rows as CSV: arm, seed, what is on the x axis, headings, rate and edge if there are."""
  headings, rated = list(page.metrics.values()), any(row.rate is not None for row in rows)
  edged = any(row.edge for row in rows)
  out = io.StringIO()
  writer = csv.writer(out, lineterminator="\n")
  writer.writerow(["arm", "seed", *([page.x] if page.x else []), *headings,
                   *(["rate"] if rated else []), *(["edge"] if edged else [])])
  for row in rows:
    writer.writerow([row.arm, plain(row.seed), *([_text(row.x, 15)] if page.x else []),
                     *(_text(row.values.get(h)) for h in headings),
                     *([_text(row.rate)] if rated else []), *([row.edge] if edged else [])])
  return out.getvalue()


def plain(text: str) -> str:
  """Text that a spreadsheet, too, takes for text."""
  return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def read_csv(page: Page, path: str | os.PathLike) -> PageRows:
  """The rows that `csv_text` wrote.

  Raises:
    DataError: they are not of this page.
  """
  try:
    with open(path, encoding="utf-8", newline="") as file:
      header, *lines = csv.reader(io.StringIO(file.read(_LARGEST)))
  except (OSError, ValueError, csv.Error) as error:
    raise DataError("results-file", printable(path), printable(error),
                    "a CSV of results") from error
  missing = {"arm", "seed", *page.metrics.values(), *([page.x] if page.x else [])} - set(header)
  if missing:
    raise DataError("results-file", printable(path), f"no column {', '.join(sorted(missing))}",
                    f"the columns of {page.name}", "Write it again with --results.")
  found = []
  for number, line in enumerate(lines, 2):
    cells = dict(zip(header, line))
    try:
      if len(line) != len(header) or cells["arm"] not in page.arms:
        raise ValueError(f"{len(line)} cells, arm {cells.get('arm')!r}")
      found.append(Row(cells["arm"], cells["seed"], _number(cells[page.x]) if page.x else None,
                       {h: _number(cells[h]) for h in page.metrics.values()},
                       _number(cells.get("rate", "")), cells.get("edge", "")))
    except ValueError as error:
      raise DataError("results-file", f"{printable(path)}:{number}", printable(error),
                      f"a row of {page.name}", "Write it again with --results.") from error
  return PageRows(page, found)


def _of_run(page: Page, arm: str, result: RunResult) -> Iterable[Row]:
  seed, rate = printable(result.run.tags.get("seed", ""), 40), result.numbers.get("rate")
  if page.x == "step":
    steps: dict[int, dict[str, float | None]] = {}
    for name, value in result.numbers.items():
      match = _AT_STEP.fullmatch(name)
      if match and match[1] in page.metrics:
        steps.setdefault(int(match[2]), {})[page.metrics[match[1]]] = _rounded(value)
    thinned = sorted(steps, reverse=True)[::-(-len(steps) // _STEPS) or 1]
    for step in thinned:
      yield Row(arm, seed, float(step), steps[step], result=result)
    return
  values = {heading: _rounded(result.numbers[name]) for name, heading in page.metrics.items()
            if name in result.numbers}
  x = result.run.tags.get(page.x) if page.x else None
  fine = not page.x or (isinstance(x, (int, float)) and 0 < x < 1e15)
  if values and fine:
    yield Row(arm, seed, x if x is None else float(x), values, _rounded(rate),
              rates.edge(result.numbers), result)


def _place(page: Page, row: Row) -> tuple:
  """Where a row stands: by arm in the order of the page, x, seed."""
  number = row.seed.isdecimal() and len(row.seed) < 16
  return (list(page.arms).index(row.arm), row.x or 0.0, not number, int(row.seed) if number else 0,
          row.seed)


def _rounded(value: float | None) -> float | None:
  """To six significant digits, so that report and CSV say the same; None of what is no metric."""
  return None if value is None or abs(value) > _ENORMOUS else float(f"{value:.6g}")


def _text(value: float | None, digits: int = 6) -> str:
  return "" if value is None else f"{value:.{digits}g}"


def _number(text: str) -> float | None:
  value = float(text) if text else None
  if value is not None and not math.isfinite(value):
    raise ValueError(f"{text!r} is not finite")
  return value
