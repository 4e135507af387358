"""What an evaluator says of a model, and what was lost on the way to its numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.errors import DataError
from jft_reps.task import Evaluator, Task
from jft_reps.training.cluster import failures

_SHARE, _FEW, _SHARE_OF_FEW = 0.01, 100, 0.5
_DRAWN = 8


def to_stderr(text: str) -> None:
  """Prints one line."""
  print(text, file=sys.stderr, flush=True)


def judge(evaluator: Evaluator, model: Any, exclude_ids: Sequence[str] = (),
          predict: Callable | None = None,
          draw: Callable[[Any], None] = lambda batch: None, task: Task | None = None,
          say: Callable[[str], None] = to_stderr) -> dict[str, float]:
  """Runs one evaluator over its dataset; numbers by TensorBoard name.

  Records that the dataset left out are said aloud and stand beside the numbers as `data/dropped`.

  Args:
    evaluator: fresh.
    model: with its weights loaded.
    exclude_ids: pictures to leave out of a second set of numbers, marked `clean`.
    predict: a traced function of a batch, to use one over several evaluations.
    draw: called with the first batches, until they hold eight pictures.
    task: names the reasons of what was left out, and explains errors of the input.
    say: prints one line.

  Raises:
    DataError: the records cannot be read, or more than 1 % of them were left out (of fewer than
      100: more than half).
  """
  predict = predict or predictor(evaluator, model)
  excluded: frozenset[str] = frozenset(exclude_ids)
  found: set[str] = set()
  pictures, kept, dropped = 0, 0, None
  try:
    for batch in evaluator.dataset():
      if pictures < _DRAWN:
        draw(batch)
      predictions = tf.nest.map_structure(lambda t: t.numpy(), predict(batch))
      truth = tf.nest.map_structure(lambda t: t.numpy(), dict(batch))
      ids = [name.decode("utf-8", "backslashreplace") for name in truth["id"].tolist()]
      evaluator.update(ids, predictions, truth)
      pictures += len(ids)
      kept += sum(i not in excluded for i in ids)
      found |= excluded.intersection(ids)
      if "dropped" in truth:
        dropped = truth["dropped"].sum(0) + (0 if dropped is None else dropped)
  except tf.errors.OpError as e:
    explained = None if task is None else failures.of_input(
        e, task, f"evaluation set {evaluator.name}", evaluator.name)
    if explained is None:
      raise
    raise explained from e
  lost = {} if dropped is None else _lost(
      evaluator.name, pictures, dropped, getattr(task, "reasons", ()), say)
  return {**_numbers(evaluator, excluded, len(found), kept, say), **lost}


def _numbers(evaluator: Evaluator, excluded: frozenset[str], found: int, kept: int,
             say: Callable[[str], None]) -> dict[str, float]:
  values = dict(evaluator.result())
  if excluded:
    warning = "" if found else "WARNING: "
    which = "" if found else ": the clean numbers are those of all. Is it the list of this set?"
    say(f"{evaluator.name}: {warning}{found} of the {len(excluded)} ids to leave out are in this "
        f"set{which}")
    if not kept:
      say(f"{evaluator.name}: WARNING: all pictures are left out, so there are no clean numbers")
      return values
    clean = evaluator.result(exclude_ids=sorted(excluded))
    values |= {f"{name} (clean)": v for name, v in clean.items()}
  return values


def _lost(name: str, pictures: int, dropped: np.ndarray, reasons: Sequence[str],
          say: Callable[[str], None]) -> dict[str, float]:
  """How many records did not come through, said aloud; an error where they are too many."""
  lost = int(dropped.sum())
  if lost:
    records = pictures + lost
    parts = ", ".join(f"{reasons[i] if i < len(reasons) else f'reason {i}'} {dropped[i]}"
                      for i in np.flatnonzero(dropped).tolist())
    if lost > (_SHARE if records >= _FEW else _SHARE_OF_FEW) * records:
      raise DataError(
          "too-many-bad-records", f"evaluation set {name}",
          f"left out {lost} of {records} records ({parts})",
          f"at most {_SHARE:.0%} ({_SHARE_OF_FEW:.0%} of fewer than {_FEW})",
          "What is left is another set; build its records again.")
    say(f"{name}: left out {lost} of {records} records: {parts}")
  return {"data/dropped": float(lost)}


def chance(evaluator: Evaluator, exclude_ids: Sequence[str] = ()) -> dict[str, float]:
  """What guessing gives, by the names of the numbers; empty where an evaluator cannot say it."""
  guess: Callable[..., dict[str, float]] | None = getattr(evaluator, "chance", None)
  if guess is None:
    return {}
  clean = guess(sorted(exclude_ids)) if exclude_ids else {}
  return {**guess(), **{f"{name} (clean)": value for name, value in clean.items()}}


def by_set(evaluator: Evaluator, values: dict[str, float], first: bool) -> dict[str, float]:
  """Numbers of the first evaluation set keep their names; others carry the name of their set."""
  return values if first else {f"{evaluator.name}: {k}": v for k, v in values.items()}


def predictor(evaluator: Evaluator, model: Any) -> Callable:
  """A traced function of a batch."""
  return tf.function(lambda batch: evaluator.predict(model, batch), reduce_retracing=True)
