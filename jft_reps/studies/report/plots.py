"""Plots of a page as the paper draws them: PNGs of its first metric."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jft_reps.studies.fits.interval import SeedMean
from jft_reps.studies.report import tables, text
from jft_reps.studies.report.guessing import Guesses
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.rows import PageRows

# Okabe and Ito's, told apart by the colour-blind too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_STYLE: Any = {"text.parse_math": False, "font.size": 10, "axes.spines.top": False,
          "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25}


def png(page: Page, rows: PageRows, guesses: Guesses | None = None) -> bytes | None:
  """The plot of a page, with a line for guessing; None if no row has a number of its first metric.
  """
  heading = next(iter(page.metrics.values()))
  arms = [a for a in page.arms if any(r.arm == a and r.values.get(heading) is not None
                                      for r in rows)]
  if not arms:
    return None
  arms = arms if page.x else list(page.arms)
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot as plt

  factor = tables.scale(page, rows, heading)
  draw = {"": _points, "pictures": _sizes, "step": _steps}[page.x]
  height = 1.2 + 0.42 * len(arms) if not page.x else 4.4
  with plt.rc_context(_STYLE), warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # characters that the font does not have
    figure, axes = plt.subplots(figsize=(7.6, height), dpi=130, layout="constrained")
    draw(axes, page, rows, arms, heading, factor)
    for guess in sorted(set((guesses or {}).get(heading, ()))):
      across = axes.axhline if page.x else axes.axvline
      across(guess * factor, color="#555555", ls=":", lw=1.2, label="guessing")
    if page.x:
      axes.set_ylabel(tables.unit(heading, factor))
      axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    plt.close(figure)
  return out.getvalue()


def _points(axes: Any, page: Page, rows: PageRows, arms: Sequence[str], heading: str,
            factor: float) -> None:
  """A line per arm, with a number or without: every seed, the mean and its interval, from zero."""
  for place, arm in enumerate(arms):
    values = np.array(list(rows.by_seed(arm, heading).values())) * factor
    axes.plot(values, np.full(len(values), place), "o", color="#999999", ms=4, alpha=0.7, mew=0)
    _mean(axes, tables.estimate(list(values)), place, _COLOURS[0], "o", across=True)
    if not len(values):
      axes.annotate("no number", (0, place), (6, 0), textcoords="offset points", va="center",
                    color="#777777", fontsize=8)
  if axes.dataLim.x0 >= 0:
    axes.set_xlim(0, 1.05 * axes.dataLim.x1 or 1)
  axes.set(yticks=range(len(arms)), yticklabels=[_label(arm) for arm in arms],
           ylim=(len(arms) - 0.5, -0.5), xlabel=tables.unit(heading, factor))


def _sizes(axes: Any, page: Page, rows: PageRows, arms: Sequence[str], heading: str,
           factor: float) -> None:
  """Means with intervals over a log axis, every seed, and the line of each arm."""
  for i, arm in enumerate(arms):
    colour, marker = _COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]
    for size in rows.sizes(arm):
      values = np.array(list(rows.by_seed(arm, heading, size).values())) * factor
      axes.plot(np.full(len(values), size), values, marker, color=colour, ms=3.5, alpha=0.35, mew=0)
      _mean(axes, tables.estimate(list(values)), size, colour, marker)
    line = text.fit(rows, arm, heading)
    if line:
      along = line.curve.pictures[[0, -1]]
      axes.plot(along, (line.intercept + line.gain.value * np.log10(along)) * factor, "--",
                color=colour, lw=1.3)
    axes.plot([], [], marker, color=colour, label=_label(arm))
  axes.plot([], [], "--", color="#555555", label="line in log10")
  axes.set(xscale="log", xlabel="pictures (log axis)")
  found = rows.sizes()
  if len(found) < 10:
    axes.set_xticks(found, [f"{x:,.0f}" for x in found])
    axes.minorticks_off()


def _steps(axes: Any, page: Page, rows: PageRows, arms: Sequence[str], heading: str,
           factor: float) -> None:
  """Mean over seeds with its interval as a band."""
  for i, arm in enumerate(arms):
    colour = _COLOURS[i % len(_COLOURS)]
    found = [(x, e) for x in rows.sizes(arm)
             if (e := tables.estimate(list(rows.by_seed(arm, heading, x).values())))]
    marker = "o-" if len(found) < 30 else "-"
    axes.plot([x for x, _ in found], [e.value * factor for _, e in found], marker, color=colour,
              ms=3, label=_label(arm))
    banded = [(x, e) for x, e in found if e.bounded]
    if banded:
      axes.fill_between([x for x, _ in banded], [e.low * factor for _, e in banded],
                        [e.high * factor for _, e in banded], color=colour, alpha=0.18, lw=0)
  axes.set_xlabel("step")


def _mean(axes: Any, found: SeedMean | None, at: float, colour: str, marker: str,
          across: bool = False) -> None:
  """A mean with its interval, if it has one."""
  if found is None:
    return
  error = [[found.value - found.low], [found.high - found.value]] if found.bounded else None
  x, y, name = (found.value, at, "xerr") if across else (at, found.value, "yerr")
  axes.errorbar(x, y, **{name: error}, fmt=marker, color=colour, ms=6, capsize=3, lw=1.4)


def _label(arm: str) -> str:
  return arm.lstrip("_") or "–"  # matplotlib hides what starts with an underscore
