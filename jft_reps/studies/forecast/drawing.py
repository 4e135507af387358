"""The picture of forecasts: what was measured, what is expected, and how far to trust it."""

from __future__ import annotations

import io
from collections.abc import Sequence

from jft_reps.studies.forecast.answers import Forecast, count

INK, SHADE = "#1f5fa8", "#cfe0f3"


def draw(forecasts: Sequence[Forecast]) -> dict[str, bytes]:
  """A panel per forecast; the same picture as {"png": …, "svg": …}."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot as plt
  from matplotlib import ticker

  across = min(len(forecasts), 3)
  down = -(-len(forecasts) // across)
  with plt.rc_context({"svg.hashsalt": "forecast", "font.size": 9}):
    figure, axes = plt.subplots(down, across, figsize=(5.2 * across, 3.6 * down), squeeze=False,
                                layout="constrained")
    for axis in axes.flat[len(forecasts):]:
      axis.set_axis_off()
    for axis, one in zip(axes.flat, forecasts):
      sizes = [point.size for point in one.band]
      axis.fill_between(sizes, [p.low for p in one.band], [p.high for p in one.band], color=SHADE,
                        linewidth=0, label="95 % interval")
      axis.plot(sizes, [p.value for p in one.band], color=INK, label="expected")
      axis.plot(one.sizes, one.values, "o", color="black", markersize=4, label="measured")
      if one.back_test:
        test = one.back_test.foretold
        axis.errorbar([test.size], [test.value],
                      [[test.value - test.low], [test.high - test.value]], color="#c05020",
                      capsize=3, linewidth=1, label="foretold from the smaller sizes")
      if one.target:
        axis.axhline(one.target.value, color="grey", linestyle=":", label="target")
      axis.axvline(max(one.sizes), color="grey", linewidth=0.6)
      axis.set_xscale("log")
      axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda size, _: count(size)))
      axis.xaxis.set_minor_formatter(ticker.NullFormatter())
      axis.set_xlabel("pictures")
      axis.set_ylabel(_plain(one.word))
      axis.set_title(_plain(one.name), fontsize=10)
      axis.grid(alpha=0.25)
    axes.flat[0].legend(fontsize=7, frameon=False)
    pictures = {}
    for form in ("png", "svg"):
      file = io.BytesIO()
      metadata = {"Date": None} if form == "svg" else {"Software": None}
      figure.savefig(file, format=form, dpi=130, metadata=metadata)
      pictures[form] = file.getvalue()
    plt.close(figure)
  return pictures


def _plain(text: str) -> str:
  return text.replace("$", r"\$")  # a name is no formula
