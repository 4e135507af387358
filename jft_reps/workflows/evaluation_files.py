"""What an evaluation leaves in the run directory, and what it says.

  evaluation_<set>.json           numbers, what guessing gives, definitions, checkpoint, pictures
  evaluation_<set>_classes.csv    a row per class
  evaluation_<set>_confusion.csv  of one label per picture: true classes by predicted ones; .png
  evaluation_<set>_wrong.csv      the pictures whose mistake it is surest of; .png shows them
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jft_reps import whole_files
from jft_reps.errors import StorageError, printable

if TYPE_CHECKING:
  from jft_reps.metrics.mistakes.confusion import Confusion
  from jft_reps.metrics.mistakes.surest import Mistake

WRONG, SHOWN = 1000, 60  # pictures in the list, and on the sheet
DRAWN_CLASSES, _WRITTEN = 60, 20  # of a confusion matrix that can be read, and with its counts
_ENDINGS = (".json", "_classes.csv", "_confusion.csv", "_confusion.png", "_wrong.csv", "_wrong.png")
_SIDE, _COLUMNS = 160, 10


def require(folder: str | os.PathLike[str], sets: Sequence[str]) -> None:
  """Refuses, before hours of work, to write over what an evaluation did not write.

  Args:
    folder: where the files go.
    sets: names of the evaluation sets.

  Raises:
    StorageError: a file of a set is there and is not as an evaluation left it; the folder cannot be
      written.
  """
  folder = pathlib.Path(folder)
  for name in sets:
    known = {f"evaluation_{name}.json": None, **_before(folder, name).get("files", {})}
    for ending in _ENDINGS:
      path = folder / f"evaluation_{name}{ending}"
      if os.path.lexists(path) and (
          path.name not in known or path.is_symlink() or not path.is_file()
          or known[path.name] not in (None, whole_files.sha256(path))):
        raise _not_ours(path, "a file that is not as `evaluate` left it")
  whole_files.write_all(folder, {})
  if not os.access(folder, os.W_OK):
    raise StorageError("write-failed", printable(folder), "a folder that cannot be written",
                       "a folder to write to", "Give --output=FOLDER.")


def keep(folder: str | os.PathLike[str], task: Any, evaluator: Any, numbers: Mapping[str, float],
         guessed: Mapping[str, float], about: Mapping[str, Any]) -> list[str]:
  """Writes the files of one evaluation set, and a point into its curves; returns their names.

  Args:
    folder: the run directory, or another.
    task: that the evaluator is of.
    evaluator: that has judged.
    numbers: that it found, by TensorBoard name.
    guessed: what guessing gives, likewise.
    about: what else is noted, `checkpoint`, `step` and `best`, the number that matters most.

  Raises:
    StorageError: a file cannot be written.
  """
  folder, name = pathlib.Path(folder), f"evaluation_{evaluator.name}"
  files: dict[str, str | bytes] = {}
  if (classes := classes_csv(task, evaluator)) is not None:
    files[f"{name}_classes.csv"] = classes
  if hasattr(evaluator, "confusion"):
    confusion = evaluator.confusion()
    files |= {f"{name}_confusion.csv": confusion.csv_text(),
              f"{name}_confusion.png": draw(confusion)}
  if hasattr(evaluator, "mistakes"):
    from jft_reps.metrics.mistakes import surest

    mistakes = evaluator.mistakes(WRONG)
    files |= {f"{name}_wrong.csv": surest.csv_text(mistakes),
              f"{name}_wrong.png": sheet(mistakes[:SHOWN], evaluator)}
  contents = {file: text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
              for file, text in files.items()}
  before = _before(folder, evaluator.name)
  last = getattr(evaluator, "last", None)
  noted = {
      **about, "set": evaluator.name, "time": time.time(), "numbers": dict(numbers),
      "definition": getattr(last or evaluator, "definition", ""),
      "chance": dict(guessed), "guess": getattr(evaluator, "guess", ""),
      "pictures": task.identity(evaluator.name) if hasattr(task, "identity") else {},
      "files": {file: hashlib.sha256(data).hexdigest() for file, data in contents.items()}}
  text = json.dumps(noted, indent=1, sort_keys=True, default=str) + "\n"
  whole_files.write_all(folder, {f"{name}.json": text, **contents})
  if before.get("step") != about["step"]:
    _point(folder, evaluator.name, about["step"], numbers, guessed)
  return [f"{name}.json", *files]


def classes_csv(task: Any, evaluator: Any) -> str | None:
  """A row per class of what an evaluator found last; None of one that knows no classes."""
  from jft_reps.metrics import class_results
  from jft_reps.metrics.mistakes import tables

  if hasattr(evaluator, "confusion"):
    return evaluator.confusion().classes_csv()
  last = getattr(evaluator, "last", None)
  if isinstance(last, class_results.FastEvalResult):
    return class_results.csv_text(last, task.labels, getattr(task, "names", None))
  rows = getattr(last, "per_class", None)
  if not rows:
    return None
  columns = list(next(iter(rows.values())))
  return tables.csv_text(("class", *columns), [
      (label, *(row[column] for column in columns)) for label, row in rows.items()])


def said(evaluator: Any, numbers: Mapping[str, float], guessed: Mapping[str, float],
         first: Mapping[str, float], best: str) -> str:
  """The numbers that one can guess at, beside what guessing gives and the first step had.

  Args:
    evaluator: that has judged.
    numbers: that it found.
    guessed: what guessing gives.
    first: of the first step, if that was evaluated.
    best: the number that matters most, which leads.
  """
  names = sorted({*guessed, best} & set(numbers), key=lambda name: (name != best, name))
  found = table(evaluator.name, names, {"measured": numbers, "guessing": guessed, "step 0": first})
  guess = getattr(evaluator, "guess", "")
  return f"{found}\n  guessing: {guess}" if guess else found


def table(title: str, names: Sequence[str], columns: Mapping[str, Mapping[str, float]],
          notes: Mapping[str, str] | None = None) -> str:
  """Numbers by name, a column for each of those that have any of them.

  Args:
    title: above the names.
    names: of the rows.
    columns: values by name, by heading.
    notes: what follows a row, by name.
  """
  shown = {heading: values for heading, values in columns.items() if set(values) & set(names)}
  width = max(map(len, names), default=0) + 2
  cell = lambda values, name: f"{values[name]:11.4f}" if name in values else f"{'':11}"
  lines = [printable(title), f"{'':{width}}" + "".join(f"{heading:>11}" for heading in shown)]
  for name in names:
    row = "".join(cell(values, name) for values in shown.values())
    lines.append(f"  {name:{width - 2}}{row}  {(notes or {}).get(name, '')}".rstrip())
  return "\n".join(lines)


def first_step(folder: str | os.PathLike[str], evaluator: Any, first: bool) -> dict[str, float]:
  """Numbers of the checkpoint of step 0, if the run's monitor has judged it.

  Args:
    folder: the run directory.
    evaluator: of the set.
    first: whether it is the first one, whose numbers do not name their set.
  """
  from jft_reps.training.run_directory import directory

  prefix = "" if first else f"{evaluator.name}: "
  for line in directory.RunDirectory(folder).metrics():
    if line.get("event") == "eval" and line.get("step") == 0:
      return {name.removeprefix(prefix): value for name, value in line.items()
              if name.startswith(prefix) and isinstance(value, float)}
  return {}


def draw(confusion: Confusion) -> bytes:
  """The matrix as a PNG, each row in shares of its pictures; of many classes the most confused."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot as plt

  classes = confusion.most_confused(DRAWN_CLASSES)
  pictures = np.bincount(confusion.truth, minlength=len(confusion.labels))[classes]
  matrix = confusion.matrix(classes)
  shares = matrix / np.maximum(pictures, 1)[:, np.newaxis]
  names = [printable(confusion.labels[c], 30) for c in classes]
  of = (f", the {len(classes)} most confused of {len(confusion.labels):,} classes"
        if len(classes) < len(confusion.labels) else "")
  side = 3 + 0.2 * len(classes)
  with plt.rc_context({"text.parse_math": False}):
    figure, axes = plt.subplots(figsize=(side + 0.8, side), dpi=110, layout="constrained")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set(xlabel="predicted", ylabel="true", title=f"share of a class's pictures{of}")
    if len(classes) <= _WRITTEN:
      for row, column in np.ndindex(matrix.shape):
        axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", fontsize=7,
                  color="white" if shares[row, column] > 0.5 else "black")
    else:
      axes.grid(color="#dddddd", lw=0.4)
    figure.colorbar(image, shrink=0.6)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    plt.close(figure)
  return out.getvalue()


def sheet(mistakes: Sequence[Mistake], evaluator: Any) -> bytes:
  """A PNG of pictures as the network saw them, the label below, and then what it says."""
  from jft_reps.collection import contact_sheet

  seen = _pictures({mistake.id for mistake in mistakes}, evaluator)
  tiles = []
  for mistake in mistakes:
    label, more, _ = mistake.truth.partition("; ")  # of several the rarest, which says most
    tiles.append(contact_sheet.Tile(
        seen.get(mistake.id), (label or "(no label)") + (" …" if more else ""),
        f"{mistake.confidence:.2f} {mistake.predicted}"))
  out = io.BytesIO()
  title = (f"{evaluator.name}: the mistakes it is surest of. First line: the label. Second: what "
           "the network says")
  contact_sheet.grid(tiles, _COLUMNS, _SIDE, title).save(out, "PNG")
  return out.getvalue()


def _pictures(wanted: set[str], evaluator: Any) -> dict[str, np.ndarray]:
  """The network's input by id, from a second pass over the set that ends when all are found."""
  seen: dict[str, np.ndarray] = {}
  for batch in evaluator.dataset() if wanted else ():
    ids = [i.decode("utf-8", "backslashreplace") for i in batch["id"].numpy().tolist()]
    for place, name in enumerate(ids):
      if name in wanted:
        seen[name] = batch["image"][place].numpy()
    if len(seen) == len(wanted):
      break
  return seen


def _before(folder: pathlib.Path, name: str) -> dict[str, Any]:
  """What the evaluation of a set before this one left; empty if there was none.

  Raises:
    StorageError: the file is somebody else's.
  """
  path = folder / f"evaluation_{name}.json"
  if not os.path.lexists(path):
    return {}
  try:
    found = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(found["files"], dict) and found["set"] == name:
      return found
  except (OSError, ValueError, KeyError, TypeError, RecursionError):
    pass
  raise _not_ours(path, "a file that is not of `evaluate`")


def _not_ours(path: pathlib.Path, found: str) -> StorageError:
  return StorageError("not-ours", printable(path), found, "a folder without it",
                      "Move it away, or give --output=FOLDER.")


def _point(folder: pathlib.Path, name: str, step: int, numbers: Mapping[str, float],
           guessed: Mapping[str, float]) -> None:
  """A point in TensorBoard, unless the monitor has made one of this step."""
  from jft_reps.training.evaluation import monitor
  from jft_reps.training.run_directory import directory, events

  lines = directory.RunDirectory(folder).metrics()
  if not any(line.get("event") == "eval" and line.get("step") == step for line in lines):
    monitor.write_curves(lambda place: events.Events(folder / place), name, step, numbers, guessed)
