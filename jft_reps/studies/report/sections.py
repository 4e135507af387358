"""Sections of a report: all that is said of a page, as plain text that nobody has escaped yet."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from jft_reps.errors import ConfigError, DataError, printable
from jft_reps.studies.forecast import drawing
from jft_reps.studies.forecast.answers import Forecast
from jft_reps.studies.report import foretold, guessing, plots
from jft_reps.studies.report import gained as report_gained
from jft_reps.studies.report import rows as report_rows
from jft_reps.studies.report import tables as report_tables
from jft_reps.studies.report import text as report_text
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.rows import PageRows
from jft_reps.studies.report.tables import Table
from jft_reps.studies.running import results as report_runs
from jft_reps.studies.running.results import RunResult, Study


@dataclasses.dataclass(frozen=True)
class Section:
  """A page as it is shown.

  Attributes:
    name, title: of the page.
    counts: how many of its runs are done, failed and left.
    says: what the paper found.
    forecasts: of a data-size page, one for each arm that has one; the section leads with them.
    forecast_plot: their PNG.
    plot: PNG.
    tables: our numbers first.
    sentences: what they say.
    gained: tables of who gained.
    definitions: of the metrics.
    deviations: from the paper.
    failed: runs by name with what happened.
    notes: what was left out.
    rows: behind it.
  """

  name: str
  title: str
  counts: str
  says: str
  forecasts: Sequence[Forecast]
  forecast_plot: bytes | None
  plot: bytes | None
  tables: Sequence[Table]
  sentences: Sequence[str]
  gained: Sequence[Table]
  definitions: Sequence[str]
  deviations: Sequence[str]
  failed: Table | None
  notes: Sequence[str]
  rows: PageRows


def sections(pages: Sequence[Page], study: Study) -> tuple[list[Section], list[str]]:
  """Sections of the pages that the study has runs of, and the titles of the others.

  Raises:
    ConfigError: a page cannot be shown.
  """
  check(pages)
  found = [section(page, study.results) for page in pages
           if report_rows.members(page, study.results)]
  names = {s.name for s in found}
  return found, [page.title for page in pages if page.name not in names]


def section(page: Page, results: Sequence[RunResult]) -> Section:
  """All that is said of a page; an arm that the study has no runs of is left out."""
  of_arms = report_rows.members(page, results)
  page, members = page.restricted({arm for arm, _ in of_arms}), [result for _, result in of_arms]
  rows, notes = report_rows.rows(page, results)
  rows = _once(page, rows)
  forecasts, without = foretold.of_page(page, rows)
  gained, who = report_gained.of_page(page, rows)
  sentences = [*report_text.of_page(page, rows), *who]
  if page.x == "pictures":
    sentences.insert(0, report_text.protocol(page))
  guesses = guessing.of_page(page, rows, notes)
  tables = [report_tables.table(page, rows, guesses), report_tables.elsewhere(page, rows)]
  definitions = _definitions(page, rows, notes)
  return Section(
      page.name, page.title, report_runs.counts(members), report_text.says(page), forecasts,
      drawing.draw(forecasts)["png"] if forecasts else None, plots.png(page, rows, guesses),
      [t for t in tables if t and t.rows], sentences, gained, definitions, list(page.deviations),
      _failed(members), few([*notes, *without]), rows)


def few(notes: Sequence[str], most: int = 40) -> list[str]:
  """Notes that somebody will read."""
  left = len(notes) - most
  return [*notes[:most], f"… and {left:,} more."] if left > 0 else list(notes)


def check(pages: Sequence[Page]) -> None:
  """Holds pages against what can be shown.

  Raises:
    ConfigError: names the page and what is wrong with it.
  """
  for i, page in enumerate(pages):
    where = f"page {printable(getattr(page, 'name', i))}"
    if not isinstance(page, Page):
      raise ConfigError("pages", where, type(page).__name__, "a jft_reps.studies.report.pages.Page")
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", page.name):
      raise ConfigError("pages", where, "a name that is no file name", "letters, digits, _ and -")
    if page.name in [other.name for other in pages[:i]]:
      raise ConfigError("pages", where, "a second page of this name", "a name for each")
    if page.x not in ("", "pictures", "step"):
      raise ConfigError("pages", where, f"x={page.x!r}", "'', 'pictures' or 'step'")
    if not page.metrics or not page.arms:
      raise ConfigError("pages", where, "no metrics or no arms", "at least one of each")
    if page.says_mark and page.says_mark not in report_tables.MARKS:
      raise ConfigError("pages", where, f"says_mark={page.says_mark!r}",
                        f"one of {', '.join(report_tables.MARKS)}")
    pairs = (*page.pairs, *(pair for both in page.interactions for pair in both))
    wrong = {arm for pair in (*pairs, page.gained or ()) for arm in pair} - set(page.arms)
    if wrong:
      raise ConfigError("pages", where, f"no arm {', '.join(sorted(map(repr, wrong)))}",
                        f"one of {', '.join(page.arms)}")
    for number in page.paper:
      report_tables.cited(number, 1.0)


def _once(page: Page, rows: PageRows) -> PageRows:
  """Without the steps of a curve that are, within a hundredth, the last one again."""
  if page.x != "step":
    return rows
  last = {arm: max(rows.sizes(arm), default=0.0) for arm in page.arms}
  again = lambda row: 0.99 * last[row.arm] <= row.x < last[row.arm]
  return PageRows(page, [row for row in rows if not again(row)])


def _definitions(page: Page, rows: PageRows, notes: list[str]) -> list[str]:
  """What the metrics are: as the runs say, else as the page does."""
  found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}  # sets and texts, by what these
  for name, text in _left(page, rows, notes):                     # are without their counts
    names, texts = found.setdefault(re.sub(r"[\d.,]+", "", text), ({}, {}))
    names[name] = texts[text] = None
  said = [f"{', '.join(names)}: {next(iter(texts))}" + (
      f" (and {len(texts) - 1} more that differ in their numbers alone)" if len(texts) > 1 else "")
          for names, texts in found.values()]
  lacking = {text: None for heading, text in page.definitions.items()
             if heading in page.metrics.values() and not any(heading in s for s in said)}
  return few([*said, *lacking], 20)


def _left(page: Page, rows: PageRows, notes: list[str]) -> list[tuple[str, str]]:
  """What the runs say of each evaluation set, those of the page's metrics if it names them."""
  found = []
  sets = {metric.split(": ")[0] if ": " in metric else metric.split("/")[0]
          for metric in page.metrics}
  for result in {row.result.id: row.result for row in rows if row.result}.values():
    try:
      content = result.file("definitions.json")
    except DataError as error:
      notes.append(f"Definitions of {printable(result.run.name)} are left out: {error.found}.")
      continue
    named = {k: v for k, v in content.items() if k in sets} or content
    found += [(printable(k), printable(v, 2000)) for k, v in named.items()]
  return found


def _failed(members: Sequence[RunResult]) -> Table | None:
  """Runs of a page that failed or wait for one that did, each once."""
  said = {report_runs.FAILED: "{}", report_runs.BLOCKED: "waits for {}, which failed"}
  lines = {r.id: (printable(r.run.name), said[r.status].format(printable(r.reason, 400)))
           for r in members if r.status in said}
  return Table(("run", "reason"), list(lines.values())) if lines else None
