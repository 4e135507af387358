"""One run as a page: its numbers beside what guessing gives, its curves, its pictures, its card."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from jft_reps import whole_files
from jft_reps.errors import DataError, printable
from jft_reps.studies.report import html
from jft_reps.studies.report.tables import Table

_PICTURES = ("confusion.png", "wrong.png")  # of an evaluation
_LARGEST = 8 << 20  # bytes of a picture that goes into the page


def write(run: str | os.PathLike[str], output: str | os.PathLike[str] = "") -> str:
  """Writes `report.html` of a run directory, one file to read or send; returns its path.

  Args:
    run: the run directory, of a run that is done or at work.
    output: folder for the page; "": the run directory.

  Raises:
    DataError: there is no run.
    StorageError: the page cannot be written.
  """
  folder = pathlib.Path(run)
  card, lines = _text(folder / "run_card.md"), _metrics(folder)
  if not card and not lines:
    raise DataError("run", printable(run), "no run_card.md and no metrics.jsonl",
                    "the directory of a run", "Give --workdir of `train`; --study is for studies.")
  evaluations = list(_evaluations(folder))
  body = [f"<p>{escape(printable(str(folder)))}</p>\n", _numbers(evaluations),
          *_curves(lines, evaluations), *map(_shown, _pictures(folder, evaluations)),
          _definitions(evaluations), _card(card)]
  (path,) = whole_files.write_all(output or folder, {
      "report.html": html.document(f"Run: {printable(folder.name)}", "".join(body))})
  return path


def _text(path: pathlib.Path) -> str:
  with contextlib.suppress(OSError):
    return path.read_text(encoding="utf-8", errors="replace")
  return ""


def _metrics(folder: pathlib.Path) -> list[dict[str, Any]]:
  """Lines of `metrics.jsonl`; what is damaged is left out."""
  found = []
  for line in _text(folder / "metrics.jsonl").splitlines():
    with contextlib.suppress(ValueError):
      content = json.loads(line)
      if isinstance(content, dict) and isinstance(content.get("step"), int):
        found.append(content)
  return found


def _evaluations(folder: pathlib.Path) -> Sequence[dict[str, Any]]:
  """What `evaluate` kept, a set each."""
  found = []
  for path in sorted(folder.glob("evaluation_*.json")):
    with contextlib.suppress(ValueError):
      content = json.loads(_text(path))
      if isinstance(content, dict) and isinstance(content.get("numbers"), dict):
        found.append(content)
  return found


def _numbers(evaluations: Sequence[Mapping[str, Any]]) -> str:
  """A table of the numbers that guessing has one of, or that are the best known of their task."""
  rows = []
  for one in evaluations:
    chance = one.get("chance") or {}
    for name in dict.fromkeys([one.get("best", ""), *chance]):
      if name in one["numbers"]:
        guess = chance.get(name)
        rows.append((printable(one.get("set", "")), printable(name), f"{one['numbers'][name]:.4f}",
                     "finds nothing" if guess is None else f"{guess:.4f}",
                     f"{one.get('step', 0):,}"))
  if not rows:
    return "<p>Not evaluated yet: jft-reps evaluate --workdir=RUN</p>\n"
  return html.table(Table(("set", "number", "value", "guessing", "step"), rows))


def _curves(lines: Sequence[Mapping[str, Any]],
            evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
  """Loss over the steps, and beside it the best number of each evaluation, with its chance line."""
  losses = [(line["step"], line["loss/total"]) for line in lines
            if line.get("event") == "train" and isinstance(line.get("loss/total"), float)]
  if not losses:
    return []
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot as plt

  name = next((one["best"] for one in evaluations if one.get("best")), "")
  judged = {line["step"]: line[name] for line in lines
            if line.get("event") == "eval" and isinstance(line.get(name), float)}
  judged |= {one["step"]: one["numbers"][name] for one in evaluations[:1] if name in one["numbers"]}
  figure, axes = plt.subplots(1, 2 if judged else 1, figsize=(11 if judged else 6, 3.4), dpi=110,
                              layout="constrained", squeeze=False)
  axes[0, 0].plot(*zip(*losses), color="#1f5fa8")
  axes[0, 0].set(xlabel="step", ylabel="loss", yscale="log" if min(v for _, v in losses) > 0
                 else "linear")
  if judged:
    axes[0, 1].plot(*zip(*sorted(judged.items())), "o-", color="#1f5fa8")
    guess = (evaluations[0].get("chance") or {}).get(name, 0.0) if evaluations else 0.0
    axes[0, 1].axhline(guess, color="#888888", linestyle=":", label=f"guessing ({guess:.3f})")
    axes[0, 1].set(xlabel="step", ylabel=name.replace("$", r"\$"), ylim=(0, None))
    axes[0, 1].legend(frameon=False)
  out = io.BytesIO()
  figure.savefig(out, format="png", metadata={"Software": None})
  plt.close(figure)
  return [_shown(("Does it learn?", out.getvalue()))]


def _pictures(folder: pathlib.Path, evaluations: Sequence[Mapping[str, Any]]
              ) -> list[tuple[str, bytes]]:
  titles = ("Which classes are taken for which", "Most surely taken for another class")
  found = []
  for one in evaluations:
    for title, name in zip(titles, _PICTURES):
      path = folder / f"evaluation_{one.get('set', '')}_{name}"
      if path.parent == folder and path.is_file() and path.stat().st_size < _LARGEST:
        found.append((f"{title}: {printable(one['set'])}", path.read_bytes()))
  return found


def _shown(picture: tuple[str, bytes]) -> str:
  title, png = picture
  return (f"<h3>{escape(title)}</h3>\n<img alt=\"{escape(title)}\" src=\"data:image/png;base64,"
          f"{base64.b64encode(png).decode()}\">\n")


def _definitions(evaluations: Sequence[Mapping[str, Any]]) -> str:
  said = dict.fromkeys(printable(one["definition"], 2000) for one in evaluations
                       if one.get("definition"))
  return "".join(f'<p class="small">{escape(text)}</p>\n' for text in said)


def _card(text: str) -> str:
  """The rows of a run card."""
  rows = [tuple(cell.strip() for cell in line.strip("|").split("|", 1))
          for line in text.splitlines() if line.startswith("| ") and line.count("|") == 3]
  rows = [row for row in rows if row[0]]
  return "<h3>Run card</h3>\n" + html.table(Table(("what", "value"), rows)) if rows else ""
