"""One run on one page: a table, a plot, and what the numbers mean."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
  """A table in Markdown; numbers get four digits, None is `n/a`."""
  def cell(value: object) -> str:
    if value is None:
      return "n/a"
    return f"{value:.4f}" if isinstance(value, float) else str(value)

  lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
  return "\n".join(lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows])


def plot_curve(path: pathlib.Path, curve: Mapping[int, float], guessing: float, ideal: float,
               ylabel: str, title: str) -> None:
  """A number over the global step, with guessing and the ideal scorer as lines.

  Args:
    path: of the PNG.
    curve: value by step; the first step is the untrained model.
    guessing: what a scorer reaches that sees no picture.
    ideal: what a scorer that knows the truth reaches.
    ylabel: name of the number.
    title: of the figure.
  """
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot as plt

  steps = sorted(curve)
  figure, axes = plt.subplots(figsize=(7, 4), dpi=120, layout="constrained")
  axes.plot(steps, [curve[s] for s in steps], "o-", color="#1f5fa8", label="checkpoints")
  axes.axhline(guessing, color="#888888", ls=":", label=f"guessing ({guessing:.3f})")
  axes.axhline(ideal, color="#2a8a4a", ls="--", label=f"ideal scorer ({ideal:.3f})")
  axes.set(xlabel="global step (pushes of all workers)", ylabel=ylabel, title=title,
           ylim=(0, max(1.05 * ideal, 0.05)))
  axes.grid(alpha=0.3)
  axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0.02, 0.93))
  axes.spines[["top", "right"]].set_visible(False)
  figure.savefig(path)
  plt.close(figure)


def write(directory: pathlib.Path, title: str, header: Sequence[str],
          rows: Sequence[Sequence[object]], plot: str, notes: Sequence[str]) -> pathlib.Path:
  """Writes `report.md` with a table, a plot beside it and notes; returns its path."""
  path = pathlib.Path(directory) / "report.md"
  bullets = "\n".join(f"- {note}" for note in notes)
  path.write_text(f"# {title}\n\n{markdown_table(header, rows)}\n\n![curve]({plot})\n\n{bullets}\n")
  return path
