"""Sentences of a page, none of which claims an order that the intervals do not give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jft_reps.studies.fits import curve, paired, sentences
from jft_reps.studies.fits.interval import SeedMean
from jft_reps.studies.report import tables
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.rows import PageRows, Row

_SIZES, _SEEDS = 100, 200  # of a fit, at most


def of_page(page: Page, rows: PageRows) -> list[str]:
  """What the rows of a page say, by its first metric."""
  if not rows:
    return []
  heading = next(iter(page.metrics.values()))
  factor = tables.scale(page, rows, heading)
  if page.x == "pictures":
    found = [_fitted(arm, rows, heading, factor) for arm in page.arms]
    found += [_gains(pair, rows, heading, factor) for pair in page.pairs]
    found += [_at_largest(pair, rows, heading, factor) for pair in page.pairs]
  elif page.x == "step":
    found = [s for pair in page.pairs for s in _over_steps(pair, rows, heading, factor)]
  else:
    found = [difference(pair, rows.paired(pair, heading), heading, factor) for pair in page.pairs]
  found += [_interacting(page, pairs, rows, heading, factor) for pairs in page.interactions]
  return [*found, *_rates(page, rows), *_at_edges(page, rows)]


def difference(pair: tuple[str, str], values: tuple[Sequence[float], Sequence[float]],
               heading: str, factor: float, where: str = "") -> str:
  """Which of two arms is higher, by the paired difference over seeds, or that it cannot be told.

  Args:
    pair: labels of the arms.
    values: of each, by the same seeds.
    heading: of the number.
    factor: of the printed numbers.
    where: what both have in common, with a leading space.
  """
  (first, second), seeds = pair, len(values[0])
  if not seeds:
    return f"{first} and {second}{where}: no seed of which both are done."
  if seeds == 1:
    told = _signed((values[0][0] - values[1][0]) * factor, tables.decimals([], factor))
    return (f"{first} less {second}{where}: {told} {heading} of one seed, which gives no interval "
            "and so no order.")
  found = paired.difference(*values, tables.CONFIDENCE)
  if not found.separated:
    return f"{first} and {second} are not separated{where}: {_told(found, heading, factor)}."
  if seeds < paired.SEEDS:
    return f"{first} less {second}{where}: {_told(found, heading, factor)}; {paired.FEW}."
  if found.value < 0:
    first, second, values = second, first, values[::-1]
    found = paired.difference(*values, tables.CONFIDENCE)
  return f"{first} is above {second}{where} by {_told(found, heading, factor)}."


def interaction(pairs: tuple[tuple[str, str], tuple[str, str]],
                values: Sequence[Sequence[float]],
                heading: str, factor: float, where: str = "") -> str:
  """In which of two pairs the first arm gains more over the second, or that it cannot be told.

  By the paired difference over seeds of (a1 − b1) − (a2 − b2).

  Args:
    pairs: labels of the arms, (a1, b1) and (a2, b2).
    values: of a1, b1, a2 and b2, by the same seeds.
    heading: of the number.
    factor: of the printed numbers.
    where: what all have in common, with a leading space.
  """
  if not len(values[0]):
    return (f"What {_over(pairs, 'and')}{where} cannot be compared: no seed of which all four are "
            "done.")
  a1, b1, a2, b2 = (np.asarray(each, np.float64) for each in values)
  gains = a1 - b1, a2 - b2
  if len(a1) == 1:
    told = _signed(float(gains[0][0] - gains[1][0]) * factor, tables.decimals([], factor))
    return (f"What {_over(pairs, 'and')}{where} cannot be ordered: they differ by {told} {heading} "
            "of one seed, which gives no interval and so no order.")
  found = paired.difference(*gains, tables.CONFIDENCE)
  if not found.separated:
    return f"What {_over(pairs, 'and')}{where} is not separated: {_told(found, heading, factor)}."
  if len(a1) < paired.SEEDS:
    return (f"What {_over(pairs, 'and')}{where} differs by {_told(found, heading, factor)}; "
            f"{paired.FEW}.")
  if found.value < 0:
    pairs, gains = pairs[::-1], gains[::-1]
    found = paired.difference(*gains, tables.CONFIDENCE)
  digits = _decimals(found, factor)
  each = " against ".join(_signed(float(gain.mean()) * factor, digits) for gain in gains)
  return f"{_over(pairs, 'than')}{where}: {each}, by {_told(found, heading, factor)}."


def _over(pairs: tuple[tuple[str, str], tuple[str, str]], word: str) -> str:
  """Who gains over whom; `A, x` over `B, x` and `A, y` over `B, y` share their names."""
  more = " more" if word == "than" else ""
  (a1, b1), (a2, b2) = pairs
  first, second, third, fourth = (label.rpartition(", ") for label in (a1, b1, a2, b2))
  crossed = (first[0] == third[0] and second[0] == fourth[0] and first[2] == second[2]
             and third[2] == fourth[2])
  if crossed and first[0] and second[0]:
    return f"{first[0]} gains{more} over {second[0]} with {first[2]} {word} with {third[2]}"
  return f"{a1} gains{more} over {b1} {word} {a2} over {b2}"


def _rates(page: Page, rows: PageRows) -> list[str]:
  """One sentence that names the rate of each arm, where they are not all the same."""
  found: dict[str, set[float]] = {}
  for row in rows:
    if row.rate is not None:
      found.setdefault(_place(page, row), set()).add(row.rate)
  if len(set().union(*found.values())) < 2:
    return []
  told = (f"{place} {' or '.join(f'{rate:g}' for rate in sorted(rates))}"
          for place, rates in found.items())
  return [f"Learning rates: {'; '.join(told)}."]


def _place(page: Page, row: Row) -> str:
  return row.arm + (f" at {row.x:,.0f} pictures" if page.x == "pictures" and row.x else "")


def _at_edges(page: Page, rows: PageRows) -> list[str]:
  """One sentence that names the arms whose rate is the lowest or highest of those that trained."""
  found = dict.fromkeys(f"{_place(page, row)}: {row.edge}" for row in rows if row.edge)
  return [f"The chosen rate is at the edge of those tried, so that a better one may lie outside, "
          f"for {'; '.join(found)}."] if found else []


def fit(rows: PageRows, arm: str, heading: str) -> curve.LogLinear | None:
  """The line of an arm; None where there are too few sizes or far too many."""
  points = _points(rows, arm, heading)
  return None if _unfit(points) else curve.log_linear(curve.curve(points))


def _unfit(points: Sequence[sentences.Row]) -> str:
  """Why there is no fit; "" if there is one."""
  sizes, seeds = (len({p[i] for p in points}) for i in (0, 1))
  if sizes < 2:
    return f"{sizes} sizes done, and a fit needs two"
  return "" if sizes <= _SIZES and seeds <= _SEEDS else f"{sizes} sizes and {seeds} seeds"


def says(page: Page) -> str:
  """What the paper found, as the paper's word where that is known."""
  if not (page.says and page.says_mark):
    return page.says
  known = page.says_mark != "memory"
  return f"{'The paper' if known else 'Remembered of the paper, not verified'}: {page.says}"


def protocol(page: Page) -> str:
  """The sentence that names the protocol of a data-size page."""
  known = {"steps": "Every size is trained for the same number of steps, so a smaller set is seen "
                    "more often.",
           "epochs": "Every size is trained for the same number of epochs, so a smaller set is "
                     "trained for fewer steps."}
  told = known.get(page.protocol, page.protocol or "not stated")
  return f"Protocol: {told.rstrip('.')}."


def _points(rows: PageRows, arm: str, heading: str) -> list[sentences.Row]:
  return [(x, seed, value) for x in rows.sizes(arm)
          for seed, value in rows.by_seed(arm, heading, x).items()]


def _fitted(arm: str, rows: PageRows, heading: str, factor: float) -> str:
  """The sentence of an arm's line."""
  line = fit(rows, arm, heading)
  if line is None:
    return f"{arm}: no fit ({_unfit(_points(rows, arm, heading))})."
  return f"{arm}: {sentences.data_size(line, heading, factor)}"


def _gains(pair: tuple[str, str], rows: PageRows, heading: str, factor: float) -> str:
  """Which arm gains more per tenfold, over the sizes and seeds that both have."""
  first, second = (_points(rows, arm, heading) for arm in pair)
  common = {p[:2] for p in first} & {p[:2] for p in second}
  first_common, second_common = ([p for p in points if p[:2] in common]
                                 for points in (first, second))
  if why := _unfit(first_common):
    return (f"Which of {pair[0]} and {pair[1]} gains more per 10× pictures cannot be told: {why} "
            "by both.")
  told = sentences.comparison(first_common, second_common, pair, heading, factor)
  left = len(first) + len(second) - 2 * len(common)
  return told + (f" {left} runs without a partner are left out." if left else "")


def largest_common(rows: PageRows, pair: tuple[str, str], heading: str) -> float | None:
  """The largest x at which both arms have a number of the same seed."""
  both = [x for x in rows.sizes(pair[0])
          if rows.paired(pair, heading, x)[0]]
  return max(both, default=None)


def _at_largest(pair: tuple[str, str], rows: PageRows, heading: str, factor: float) -> str:
  size = largest_common(rows, pair, heading)
  if size is None:
    return difference(pair, ([], []), heading, factor)
  return difference(pair, rows.paired(pair, heading, size), heading, factor,
                    f" at {size:,.0f} pictures")


def _interacting(page: Page, pairs: tuple[tuple[str, str], tuple[str, str]], rows: PageRows,
                 heading: str, factor: float) -> str:
  """The difference of differences at the largest x at which all four arms have a seed."""
  arms = [arm for pair in pairs for arm in pair]
  values: list[list[float]] = [[], [], [], []]
  where = ""
  sizes: list[float | None] = [*rows.sizes(arms[0])]
  for x in sizes or [None]:
    each = [rows.by_seed(arm, heading, x) for arm in arms]
    if seeds := [seed for seed in each[0] if all(seed in of for of in each)]:
      values = [[of[seed] for seed in seeds] for of in each]
      where = {"": "", "step": f" at step {x or 0:,.0f}"}.get(page.x, f" at {x or 0:,.0f} pictures")
  return interaction(pairs, values, heading, factor, where)


def _over_steps(pair: tuple[str, str], rows: PageRows, heading: str,
                factor: float) -> list[str]:
  """The difference of two training curves at a few steps that both have."""
  both = [x for x in rows.sizes(pair[0])
          if rows.paired(pair, heading, x)[0]]
  if not both:
    return [difference(pair, ([], []), heading, factor)]
  return [difference(pair, rows.paired(pair, heading, x), heading, factor,
                     f" at step {x:,.0f}") for x in tables.milestones(both)]


def _told(found: SeedMean, heading: str, factor: float) -> str:
  digits = _decimals(found, factor)
  mean, low, high = (v * factor for v in (found.value, found.low, found.high))
  interval = f"{low:.{digits}f} to {high:.{digits}f}".replace("-", "−")
  return (f"{_signed(mean, digits)} {heading}, {found.confidence * 100:g} % interval {interval}, "
          f"{found.seeds} seeds")


def _decimals(found: SeedMean, factor: float) -> int:
  return tables.decimals([found], factor)


def _signed(value: float, digits: int) -> str:
  return f"{value:+.{digits}f}".replace("-", "−")
