"""Evaluates what runs of a study trained, and leaves what a report asks for beside numbers."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ml_collections import ConfigDict

from jft_reps import whole_files
from jft_reps.studies.report import guessing
from jft_reps.workflows import compose, weights

CLASSES, DEFINITIONS = "classes.json", "definitions.json"


class Judged(NamedTuple):
  """Numbers of one evaluation set, those of each class, what they mean, the set's name, and what
  guessing gives on it."""

  numbers: dict[str, float]
  classes: dict[str, dict[str, float]]
  definition: str
  name: str = "test"
  guessing: Mapping[str, float] = {}


class Judge:
  """Evaluates checkpoints of one configuration; model and prediction are made once for all.

  Args:
    config: whose workdir holds a run.
  """

  def __init__(self, config: ConfigDict):
    import tf_keras

    tf_keras.backend.clear_session()
    self._task = compose.task(config, weights.open_source(config.workdir))
    self._model = self._task.build()
    self._average = config.train.get("ema_decay", 0.0) > 0
    self._predict: Callable | None = None

  def __call__(self, path: str | pathlib.Path, split: int = 0) -> Judged:
    """Of a checkpoint, a path without ending, on one of the configuration's evaluation sets."""
    from jft_reps.training.evaluation import judging, monitor

    monitor.load_model(path, self._task, self._model, self._average)
    evaluator = self._task.evaluators()[split]
    self._predict = self._predict or judging.predictor(evaluator, self._model)
    numbers = judging.judge(evaluator, self._model, predict=self._predict, task=self._task)
    return judged_by(evaluator, numbers, getattr(self._task, "labels", ()))


def judged_by(evaluator, numbers: Mapping[str, float], labels: Sequence[str]) -> Judged:
  """What an evaluator says, with the numbers of each class by name."""
  from jft_reps.training.evaluation import judging

  last, guessed = getattr(evaluator, "last", None), judging.chance(evaluator)
  if last is None:
    definition = getattr(evaluator, "definition", "")
    return Judged(dict(numbers), {}, definition, evaluator.name, guessed)
  if isinstance(last.per_class, Mapping):
    columns = {column for row in last.per_class.values() for column in row}
    classes = {column: {label: row[column] for label, row in last.per_class.items()
                        if row.get(column) is not None} for column in sorted(columns)}
  else:
    classes = {"AP": {label: float(value) for label, value in zip(labels, last.per_class)
                      if value == value}}
  return Judged(dict(numbers), classes, last.definition, evaluator.name, guessed)


def leave(directory: pathlib.Path, judged: Judged) -> None:
  """Leaves for the report, in the directory of a run: numbers per class, of guessing, and what they
  mean."""
  definitions = {judged.name: judged.definition} if judged.definition else {}
  whole_files.write_all(directory, {CLASSES: json.dumps(judged.classes),
                                    DEFINITIONS: json.dumps(definitions),
                                    guessing.FILE: json.dumps(dict(judged.guessing))})
