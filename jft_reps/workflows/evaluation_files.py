"""What an evaluation leaves in the run directory, and what it says.

  evaluation_<set>.json           numbers, what guessing gives, definition, checkpoint
  evaluation_<set>_classes.csv    a row per class
  evaluation_<set>_confusion.csv  of one label per picture: true classes by predicted ones; .png
  evaluation_<set>_wrong.csv      the pictures it is most wrongly sure of; .png shows them
"""

from __future__ import annotations

import io
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jft_reps import whole_files
from jft_reps.errors import printable

if TYPE_CHECKING:
  from jft_reps.tasks.evaluators.confusion import Confusion

WRONG, SHOWN = 1000, 60  # pictures in the list, and on the sheet
DRAWN_CLASSES = 40  # of a confusion matrix that can be read


def keep(folder: str | os.PathLike[str], evaluator: Any, numbers: Mapping[str, float],
         checkpoint: pathlib.Path, best: str, labels: Sequence[str]) -> Iterator[str]:
  """Writes the files of one evaluation set, and a point into its curves.

  Args:
    folder: the run directory.
    evaluator: that has judged.
    numbers: that it found, by TensorBoard name.
    checkpoint: that was judged, without ending.
    best: the number that matters most.
    labels: class names, in class order.

  Yields:
    What to say: the most important number beside what guessing gives, warnings, files.

  Raises:
    StorageError: a file cannot be written.
  """
  chance = evaluator.chance() if hasattr(evaluator, "chance") else {}
  name = f"evaluation_{evaluator.name}"
  last = getattr(evaluator, "last", None)
  files: dict[str, str | bytes] = {f"{name}.json": json.dumps({
      "set": evaluator.name, "best": best, "checkpoint": str(checkpoint), "step": _step(checkpoint),
      "numbers": dict(numbers), "chance": chance, "time": time.time(),
      "definition": getattr(last or evaluator, "definition", "")}, indent=1, sort_keys=True) + "\n"}
  confusion: Confusion | None = getattr(evaluator, "confusion", None)
  if confusion is not None:
    files |= {f"{name}_classes.csv": confusion.classes_csv(),
              f"{name}_confusion.csv": confusion.matrix_csv(),
              f"{name}_confusion.png": draw(confusion),
              f"{name}_wrong.csv": confusion.wrong_csv(WRONG),
              f"{name}_wrong.png": _sheet(confusion, evaluator)}
  elif last is not None:
    files[f"{name}_classes.csv"] = _classes(last, labels)
  _point(pathlib.Path(folder), evaluator, numbers, _step(checkpoint))
  yield said(evaluator.name, numbers, chance, best)
  if confusion is not None and (warning := confusion.dominant()):
    yield f"{evaluator.name}: WARNING: {warning}"
  whole_files.write_all(folder, files)
  yield f"{evaluator.name}: wrote {', '.join(files)} in {printable(folder)}"


def _classes(result: Any, labels: Sequence[str]) -> str:
  """A row per class of what an evaluator's result has of each; empty where it is undefined."""
  from jft_reps.tasks.evaluators import confusion

  if isinstance(result.per_class, Mapping):
    rows = result.per_class
  else:
    rows = {label: {"pictures": int(count), "AP": float(value)} for label, count, value, judged in
            zip(labels, result.counts, result.per_class, result.evaluated) if judged}
  columns = list(dict.fromkeys(column for row in rows.values() for column in row))
  shown = lambda value: value if isinstance(value, int) else (
      "" if value is None or value != value else f"{value:.6g}")
  return confusion.table(("class", *columns), [
      (label, *(shown(row.get(column)) for column in columns)) for label, row in rows.items()])


def said(name: str, numbers: Mapping[str, float], chance: Mapping[str, float], best: str) -> str:
  """`val: classification/top1 0.5421 (guessing gives 0.0154), …`, the number that counts first."""
  order = sorted({*chance, best} & set(numbers), key=lambda number: (number != best, number))
  return f"{name}: " + ", ".join(
      f"{number} {numbers[number]:.4f}"
      + (f" (guessing gives {chance[number]:.4f})" if number in chance else "") for number in order)


def draw(confusion: Confusion) -> bytes:
  """The matrix as a PNG, each row in shares of its pictures; of many classes the most confused."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot as plt

  classes = confusion.most_confused(DRAWN_CLASSES)
  matrix = confusion.matrix[np.ix_(classes, classes)]
  shares = matrix / np.maximum(confusion.matrix[classes].sum(1, keepdims=True), 1)
  names = [printable(confusion.labels[c], 24).replace("$", r"\$") for c in classes]
  side = 2.6 + 0.2 * len(classes)
  figure, axes = plt.subplots(figsize=(side + 0.8, side), dpi=110, layout="constrained")
  image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
  axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
  axes.set_yticks(range(len(names)), names, fontsize=7)
  axes.set(xlabel="predicted", ylabel="true", title="share of a class's pictures" + (
      f", the {len(classes)} most confused of {len(confusion.labels)} classes"
      if len(classes) < len(confusion.labels) else ""))
  figure.colorbar(image, shrink=0.6)
  out = io.BytesIO()
  figure.savefig(out, format="png", metadata={"Software": None})
  plt.close(figure)
  return out.getvalue()


def _sheet(confusion: Confusion, evaluator: Any) -> bytes:
  """A PNG of the wrong pictures as the network saw them, the surest first."""
  from jft_reps.collection import contact_sheet

  wrong = confusion.wrong(SHOWN)
  wanted = {confusion.ids[i] for i in wrong}
  seen: dict[str, np.ndarray] = {}
  if wanted:
    for batch in evaluator.dataset():
      for key, image in zip(batch["id"].numpy().tolist(), batch["image"].numpy()):
        name = key.decode("utf-8", "backslashreplace")
        if name in wanted:
          seen[name] = image
      if len(seen) == len(wanted):
        break
  short = lambda c: printable(confusion.labels[c], 12)
  tiles = [contact_sheet.Tile(seen.get(confusion.ids[i]), (
      f"{short(confusion.truth[i])} > {short(confusion.predicted[i])} {confusion.confidence[i]:.2f}"
  )) for i in wrong]
  out = io.BytesIO()
  contact_sheet.grid(tiles, 8, 176, f"{evaluator.name}: most wrongly sure, label > prediction"
                     ).save(out, "PNG")
  return out.getvalue()


def _point(folder: pathlib.Path, evaluator: Any, numbers: Mapping[str, float], step: int) -> None:
  """A point in TensorBoard, unless the monitor has made one of this step."""
  from jft_reps.training.evaluation import monitor
  from jft_reps.training.run_directory import directory, events

  run = directory.RunDirectory(folder)
  if not any(line.get("event") == "eval" and line.get("step") == step for line in run.metrics()):
    events.Events(folder / f"eval_{evaluator.name}").scalars(
        step, {**numbers, **monitor.chance_lines(evaluator)})


def _step(checkpoint: pathlib.Path) -> int:
  number = checkpoint.name.rpartition("-")[2]
  return int(number) if number.isdecimal() else 0
