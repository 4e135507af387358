"""Tables of a page: mean and interval over seeds by arm, and the paper's numbers beside them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from jft_reps.errors import ConfigError
from jft_reps.studies.fits.interval import SeedMean, over_seeds
from jft_reps.studies.report import guessing
from jft_reps.studies.report.guessing import Guesses
from jft_reps.studies.report.pages import Page, PaperNumber
from jft_reps.studies.report.rows import PageRows

CONFIDENCE = 0.95
MARKS = {"seed": "the paper's", "found": "the paper's, as found",
         "memory": "remembered, not verified"}
_STEPS = 6  # rows of a training curve in a table


@dataclasses.dataclass(frozen=True)
class Table:
  """Cells as plain text, which whoever shows them escapes."""

  header: Sequence[str]
  rows: Sequence[Sequence[str]]


def estimate(values: Sequence[float]) -> SeedMean | None:
  """Mean and interval of finite values, one per seed; None without a value.

  The interval of fractions is cut at 0 and 1.
  """
  if not len(values):
    return None
  found = over_seeds(values, CONFIDENCE)
  fraction = len(values) > 1 and 0 <= min(values) and max(values) <= 1
  return found.clipped(0.0, 1.0) if fraction else found


def scale(page: Page, rows: PageRows, heading: str) -> float:
  """100 for fractions, which are shown in percent as papers do; 1 for what exceeds one."""
  values = [abs(v) for row in rows if (v := row.values.get(heading)) is not None]
  values += [abs(number.value) for number in page.paper if number.metric == heading]
  return 1.0 if values and max(values) > 1 else 100.0


def unit(heading: str, factor: float) -> str:
  """The heading of a column, with its unit."""
  return f"{heading} (%)" if factor == 100 and "%" not in heading else heading


def table(page: Page, rows: PageRows, guesses: Guesses | None = None) -> Table:
  """Our numbers, one row per arm and x; in a table of arms the paper's stand beside them.

  What guessing gives is the last row, where that is known.
  """
  headings = list(page.metrics.values())
  scales = {h: scale(page, rows, h) for h in headings}
  beside = [h for h in headings if not page.x and any(
      n.metric == h and n.row in page.arms for n in page.paper)]
  header = ["arm", *([page.x] if page.x else []), "seeds"]
  header += [c for h in headings for c in
             (unit(h, scales[h]), *([f"{h} elsewhere"] if h in beside else []))]
  places = [(arm, x) for arm in page.arms for x in (_shown(page, rows, arm) if page.x else [None])]
  found = {(arm, x, h): estimate(list(rows.by_seed(arm, h, x).values()))
           for arm, x in places for h in headings}
  digits = {h: decimals([e for (_, _, g), e in found.items() if g == h], scales[h])
            for h in headings}
  lines = []
  for arm, x in places:
    seeds = len(rows.at(arm, x))
    line = [arm, *([f"{x:,.0f}"] if page.x else []), str(seeds)]
    for h in headings:
      line.append(cell(found[arm, x, h], scales[h], digits[h], seeds))
      if h in beside:
        line.append("; ".join(cited(n, scales[h]) for n in page.paper
                              if (n.row, n.metric) == (arm, h)) or "–")
    lines.append(line)
  if guesses:
    lines.append([guessing.ARM, *(["–"] if page.x else []), "–", *(c for h in headings for c in (
        guessing.shown(guesses.get(h), scales[h], digits[h]), *(["–"] if h in beside else [])))])
  return Table(header, lines)


def elsewhere(page: Page, rows: PageRows) -> Table | None:
  """Numbers to compare that stand beside no number of ours."""
  left = [n for n in page.paper if page.x or n.row not in page.arms
          or n.metric not in page.metrics.values()]
  if not left:
    return None
  return Table(("elsewhere", "metric", "value"),
               [(n.row, n.metric, cited(n, scale(page, rows, n.metric))) for n in left])


def cited(number: PaperNumber, factor: float) -> str:
  """A number of others, which says whose it is and how well it is known.

  Raises:
    ConfigError: its mark is none.
  """
  if number.mark not in MARKS:
    raise ConfigError("page-mark", number.row, f"mark {number.mark!r}",
                      f"one of {', '.join(MARKS)}")
  value = f"{number.value * factor:.4g}"
  value += "" if "." in value or factor == 1 else ".0"
  return f"{value} {MARKS[number.mark]} ({number.source})"


def cell(found: SeedMean | None, factor: float, digits: int, seeds: int) -> str:
  """`31.2 (30.1 to 32.3)`, and how many seeds gave no number."""
  if found is None:
    return "n/a"
  shown = lambda value: f"{round(value * factor, digits) + 0.0:.{digits}f}".replace("-", "−")
  text = shown(found.value)
  if found.bounded:
    text += f" ({shown(found.low)} to {shown(found.high)})"
  else:
    text += " (one seed)"
  return text + (f", {seeds - found.seeds} n/a" if found.seeds < seeds else "")


def decimals(estimates: Sequence[SeedMean | None], factor: float) -> int:
  """Decimals that show half of a middling interval of a column; at least one, at most four."""
  halves = sorted((e.high - e.low) / 2 * factor for e in estimates if e and e.bounded)
  half = halves[len(halves) // 2] if halves else 0.0
  return min(4, max(1, math.ceil(-math.log10(half / 2)))) if half > 1e-9 else 1 + 2 * (factor == 1)


def milestones(steps: Sequence[float]) -> list[float]:
  """A few steps spread over a training, the last among them."""
  return sorted({steps[-(-len(steps) * i // _STEPS) - 1] for i in range(1, _STEPS + 1)}) \
      if steps else []


def _shown(page: Page, rows: PageRows, arm: str) -> list[float]:
  found = rows.sizes(arm)
  return milestones(found) if page.x == "step" else found
