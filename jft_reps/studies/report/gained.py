"""Who gained: what the second of two arms changed, per class and per size of objects.

Differences are paired over seeds. Of many intervals at 95 % some leave zero out by chance, so only
those are called gained or lost that Benjamini and Hochberg's procedure ("Controlling the false
discovery rate", 1995) keeps at a rate of 5 % of false ones, and the plain count is said beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from jft_reps.errors import DataError, printable
from jft_reps.studies.fits import paired
from jft_reps.studies.fits.interval import SeedMean
from jft_reps.studies.report import tables as report_tables
from jft_reps.studies.report import text
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.rows import PageRows
from jft_reps.studies.report.tables import Table
from jft_reps.studies.running.results import RunResult

RATE = 0.05  # of false discoveries
_SIZES = {"APs": "small objects", "APm": "medium objects", "APl": "large objects"}
_SHOWN, _CLASSES = 100, 20_000  # rows of the table, classes of a run, at most


@dataclasses.dataclass(frozen=True)
class Change:
  """Of one class: the second arm less the first, and whether it is separated after correction."""

  name: str
  found: SeedMean
  kept: bool

  @property
  def verdict(self) -> str:
    if not self.kept:
      return "not separated"
    if self.found.seeds < paired.SEEDS:
      return paired.FEW
    return "gained" if self.found.value > 0 else "lost"


def discoveries(p_values: Sequence[float], rate: float = RATE) -> list[bool]:
  """Which of them Benjamini and Hochberg's procedure keeps at a rate of false discoveries."""
  from scipy import stats

  return list(stats.false_discovery_control(p_values) <= rate) if len(p_values) else []


def changes(first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]]
            ) -> list[Change]:
  """Change of every class that both arms have for at least two common seeds, largest gain first.

  Args:
    first, second: value by class, by seed.
  """
  common = [seed for seed in first if seed in second]
  alike: dict[tuple[str, ...], list[str]] = {}  # classes by the seeds that have them in both arms
  for name in dict.fromkeys(name for seed in common for name in first[seed]):
    seeds = tuple(s for s in common if name in first[s] and name in second[s])
    if len(seeds) > 1:
      alike.setdefault(seeds, []).append(name)
  found: dict[str, tuple[SeedMean, float]] = {}
  for seeds, names in alike.items():
    before, after = (np.array([[of[s][name] for name in names] for s in seeds])
                     for of in (first, second))
    for name, a, b, p in zip(names, after.T, before.T, paired.p_values(after, before)):
      found[name] = paired.difference(a, b, report_tables.CONFIDENCE), float(p)
  kept = discoveries([p for _, p in found.values()])
  return sorted((Change(name, f, k) for (name, (f, _)), k in zip(found.items(), kept)),
                key=lambda change: (-change.found.value, change.name))


def of_page(page: Page, rows: PageRows) -> tuple[list[Table], list[str]]:
  """Tables and sentences of who gained; empty where the page does not ask."""
  if page.gained is None or not rows:
    return [], []
  heading = next(iter(page.metrics.values()))
  x = text.largest_common(rows, page.gained, heading) if page.x else None
  first, second = page.gained
  runs = [{r.seed: r.result for r in rows.at(arm, x) if r.result} for arm in page.gained]
  where = f" at {x:,.0f} {page.x}" if x is not None else ""
  tables, told, notes = list[Table](), list[str](), list[str]()
  metric, classes = _by_class(page, runs, notes)
  for kind, values in ((f"{page.metrics.get(metric, '')} by class", classes),
                       ("AP by size of the object", _by_size(page, runs))):
    found = changes(*values)
    if found:
      told.append(f"{kind}{where}, {second} less {first}: {_summary(found)}")
      tables.append(_table(kind, found))
  if not told:
    told.append(f"Who gained from {first} to {second}{where}: nothing to compare, since fewer than "
                "two seeds of both have values per class or size.")
  return tables, told + notes


def _by_class(page: Page, runs: Sequence[Mapping[str, RunResult]], notes: list[str]
              ) -> tuple[str, list[dict[str, dict[str, float]]]]:
  """The first metric that has values per class, and these by seed for both arms."""
  files: list[dict[str, dict]] = []
  for arm in runs:
    files.append({})
    for seed, result in arm.items():
      try:
        content = result.file("classes.json")
        if any(isinstance(v, dict) and len(v) > _CLASSES for v in content.values()):
          raise DataError("classes", seed, f"more than {_CLASSES:,} classes")
        files[-1][seed] = content
      except DataError as error:
        notes.append(f"Values per class of {printable(result.run.name)} are left out: "
                     f"{error.found}.")
  for metric in page.metrics:
    for key in (metric, metric.rpartition("/")[2]):  # a run may leave off what is measured
      found = [{seed: _finite(content[key]) for seed, content in arm.items()
                if isinstance(content.get(key), dict)} for arm in files]
      if all(found):
        return metric, found
  return "", [{}, {}]


def _by_size(page: Page, runs: Sequence[Mapping[str, RunResult]]
             ) -> list[dict[str, dict[str, float]]]:
  before = next(iter(page.metrics)).rsplit("/", 1)[0]
  return [{seed: _finite({name: result.numbers.get(f"{before}/{key}")
                          for key, name in _SIZES.items()}) for seed, result in arm.items()}
          for arm in runs]


def _finite(values: Mapping[str, object]) -> dict[str, float]:
  kept = {}
  for name, value in values.items():
    if isinstance(value, (int, float)) and not isinstance(value, bool):
      with contextlib.suppress(OverflowError):
        if math.isfinite(value) and 0 <= value <= 1:  # −1 is COCO's for "no such object"
          kept[printable(name)] = float(value)
  return kept


def _summary(found: Sequence[Change]) -> str:
  plain = sum(change.found.separated for change in found)
  up, down, few, others = (sum(c.verdict == verdict for c in found) for verdict in (
      "gained", "lost", paired.FEW, "not separated"))
  return (f"of {len(found)} compared, {up} gained and {down} lost by Benjamini and Hochberg's "
          f"procedure at {RATE * 100:g} % false discoveries"
          + (f", {others} are not separated" if others else "")
          + (f", {few} are separated, but {paired.FEW}" if few else "")
          + f". Without that correction {plain} of the 95 % intervals leave zero out, of which "
          f"{len(found) * 0.05:.1f} are expected if nothing has changed.")


def _table(kind: str, found: Sequence[Change]) -> Table:
  half = _SHOWN // 2
  shown = list(found) if len(found) <= _SHOWN else [*found[:half], *found[-half:]]
  rows = [(c.name, f"{c.found.value * 100:+.1f}".replace("-", "−"),
           f"{c.found.low * 100:.1f} to {c.found.high * 100:.1f}".replace("-", "−"),
           str(c.found.seeds), c.verdict) for c in shown]
  if len(found) > _SHOWN:
    rows.insert(half, (f"… {len(found) - _SHOWN} between", "", "", "", ""))
  return Table((kind, "change (points)", "95 % interval", "seeds", "verdict"), rows)
