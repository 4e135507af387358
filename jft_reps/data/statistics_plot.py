"""How many pictures the classes of a collection have, from the most to the least common."""

from __future__ import annotations

import io

import numpy as np

from jft_reps.data.statistics import RARE, Statistics
from jft_reps.errors import printable


def rank_frequency(statistics: Statistics) -> bytes:
  """A PNG with pictures per class over the class's rank, both axes logarithmic."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot as plt

  figure, axes = plt.subplots(figsize=(7, 4.5), dpi=120, layout="constrained")
  most = 2.0 * RARE[0]
  axes.set(xscale="log", yscale="log", ylim=(0.8, most), xlabel="rank of the class",
           ylabel="pictures", title=f"{printable(statistics.split, 60)}: {statistics.pictures:,} "
           f"pictures, {len(statistics.names):,} classes")
  lines = [("labels as listed", statistics.listed, "#1f5fa8")]
  if statistics.with_ancestors is not None:
    lines.append(("with their ancestors", statistics.with_ancestors, "#c2571a"))
  for title, counts, colour in lines:
    sizes = np.sort(counts.per_class[counts.per_class > 0])[::-1]
    most = max(most, 2 * sizes.max(initial=0))
    axes.plot(np.arange(1, len(sizes) + 1), sizes, color=colour, lw=1.8,
              label=f"{title} ({sizes.sum():,}; {len(sizes):,} classes)")
  for limit in RARE:
    rare = (statistics.listed.per_class < limit).sum()
    axes.axhline(limit, color="#888888", lw=0.8, ls=":")
    axes.annotate(
        f"{rare:,} classes are listed fewer than {limit} times", (0.02, limit), xytext=(0, 2),
        xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8, color="#555555")
  axes.set_ylim(0.8, most)
  axes.grid(alpha=0.3)
  axes.legend(frameon=False, loc="upper right", fontsize=9)
  axes.spines[["top", "right"]].set_visible(False)
  out = io.BytesIO()
  figure.savefig(out, format="png")
  plt.close(figure)
  return out.getvalue()
