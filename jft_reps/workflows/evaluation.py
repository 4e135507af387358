"""Evaluates one checkpoint, or those of a run as they come."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jft_reps import whole_files
from jft_reps.errors import ConfigError, StorageError
from jft_reps.workflows import compose, configuration, presence, weights

if TYPE_CHECKING:
  import ml_collections


def evaluate(
    config: ml_collections.ConfigDict, workdir: str | os.PathLike | None = None,
    checkpoint: str | os.PathLike | None = None, average: bool | None = None,
    exclude_file: str | os.PathLike | None = None, submission: str | os.PathLike | None = None,
    output: str | os.PathLike | None = None,
) -> dict[str, float]:
  """Numbers of one checkpoint by TensorBoard name; what guessing gives goes to stderr beside them.

  All of it is kept, see `evaluation_files`.

  Args:
    config: of the run.
    workdir: the run directory; None: the configuration's own.
    checkpoint: without ending; None: the newest of the run.
    average: take the moving average of the weights; None: if the configuration keeps one.
    exclude_file: ids of pictures, one a line, to leave out of a second set of numbers.
    submission: folder for what was found in the form of the test server.
    output: folder for what is kept; None: the run directory.

  Raises:
    ConfigError: a submission is wanted of a task that has none.
    StorageError: the checkpoint cannot be read; the output cannot be written, or holds a file of
      somebody else's in the place of one to write.
  """
  config, excluded = configuration.placed(config, workdir), _excluded(exclude_file)
  presence.check_weights(checkpoint or config.workdir)
  presence.check_records(config)
  from jft_reps.training.evaluation import monitor
  from jft_reps.training.run_directory import checkpoints
  from jft_reps.workflows import evaluation_files

  source = weights.open_source(checkpoint or config.workdir)
  task, path = compose.task(config, source), source.tensors.path
  evaluators, folder = task.evaluators(), output or config.workdir
  evaluation_files.require(folder, [evaluator.name for evaluator in evaluators])
  model, averaged = task.build(), _averaged(config, average)
  monitor.load_model(path, task, model, averaged)
  about = {"best": task.best, "checkpoint": str(path), "step": checkpoints.step_of(path),
           "average": averaged}
  values: dict[str, float] = {}
  for evaluator in evaluators:
    if submission:
      if not hasattr(evaluator, "submits"):
        raise ConfigError("flags", "--submission", config.task.name,
                          "a task that detects, segments or finds poses")
      evaluator.submits = True
    found = monitor.judge(evaluator, model, excluded, task=task)
    if getattr(evaluator, "last", None) is not None:
      print(f"{evaluator.name}: {_said(evaluator.last)}", file=sys.stderr)
    if submission:
      print(f"wrote {evaluator.write_submission(submission)}", file=sys.stderr)
    guessed = monitor.chance(evaluator, excluded)
    before = evaluation_files.first_step(config.workdir, evaluator, first=not values)
    print(evaluation_files.said(evaluator, found, guessed, before, task.best), file=sys.stderr)
    names = evaluation_files.keep(folder, task, evaluator, found, guessed, about)
    print(f"  wrote {', '.join(names)} in {folder}", file=sys.stderr)
    values |= monitor.by_set(evaluator, found, first=not values)
  print(f"evaluated {path}", file=sys.stderr)
  return values


def follow(
    config: ml_collections.ConfigDict, workdir: str | os.PathLike | None = None,
    average: bool | None = None, exclude_file: str | os.PathLike | None = None,
    timeout: float = 3600.0,
) -> None:
  """The monitor of a run directory, until its last checkpoint is evaluated.

  Args:
    config: of the run.
    workdir, average, exclude_file: as of `evaluate`.
    timeout: seconds without a new checkpoint or a new line in metrics.jsonl.

  Raises:
    StorageError: no sign of the trainer for `timeout` seconds, or a checkpoint of another
      configuration.
  """
  from jft_reps.training.evaluation import monitor
  from jft_reps.training.run_directory import directory

  config, excluded = configuration.placed(config, workdir), _excluded(exclude_file)
  run = directory.RunDirectory(config.workdir)
  _wait_for_the_first(run, timeout)
  task = compose.task(config, weights.open_source(run.path))
  monitor.Monitor(
      task, run, config.train.get("keep_steps", ()), _averaged(config, average),
      exclude_ids=excluded, details=class_results(task, run)).follow(timeout=timeout)


def verdict(values: Mapping[str, float], row: str, expected: Sequence[Sequence[Any]]) -> int:
  """Compares with what the paper reports for a row; 1 if a number is outside its tolerance.

  A row with options, such as `random,laptop`, is no row of the paper. A number of a set that was
  not evaluated (`test-dev: coco/AP`, which only the server can tell), or of a test set without
  truth, where none of its kind is defined, is printed and not judged.
  """
  failed = False
  for name, metric, value, tolerance, source, mark in expected:
    if name != row or value is None:
      continue
    found = values.get(metric)
    expectation = f"expected {value} ± {tolerance} ({source}, {mark})"
    kind = metric.partition("/")[0]
    if found is None and "/" in metric and not any(v.startswith(f"{kind}/") for v in values):
      print(f"{metric}: not measured here, {expectation}")
      continue
    good = found is not None and abs(found - value) <= tolerance
    failed |= not good
    print(f"{metric}: {'n/a' if found is None else f'{found:.4f}'}, {expectation}: "
          f"{'ok' if good else 'OUTSIDE'}")
  return int(failed)


def class_results(task, run):
  """Writes each evaluation's numbers per class beside its curves."""
  from jft_reps.workflows import evaluation_files

  def write(evaluator, step: int) -> None:
    last = getattr(evaluator, "last", None)
    definition = getattr(last or evaluator, "definition", None)
    if definition is None:
      return
    files = {"definition.txt": definition + "\n"}
    if last is not None and hasattr(last, "table"):
      files[f"per_class_{step}.txt"] = last.table()
    elif (classes := evaluation_files.classes_csv(task, evaluator)) is not None:
      files[f"per_class_{step}.csv"] = classes
    whole_files.write_all(run.path / f"eval_{evaluator.name}", {
        name: text.encode("utf-8", "surrogateescape") for name, text in files.items()})

  return write


def _averaged(config: ml_collections.ConfigDict, average: bool | None) -> bool:
  """Whether to take the moving average of the weights."""
  return config.train.get("ema_decay", 0.0) > 0 if average is None else average


def _said(result) -> str:
  """A result's definition, and the table of those that have one."""
  return result.table() if hasattr(result, "table") else result.definition


def _wait_for_the_first(run, timeout: float, poll: float = 1.0) -> None:
  """Waits for a run's first checkpoint: before it, the trainer may still be writing records."""
  from jft_reps.training.evaluation import monitor
  from jft_reps.training.run_directory import checkpoints

  start, said = time.monotonic(), False
  while not checkpoints.committed(run.path):
    if (reason := run.stopped()) is not None:
      raise monitor.trainer_stopped(run, reason)
    if time.monotonic() - start > timeout:
      raise StorageError("no-checkpoint", run.path, f"none in {timeout:.0f} s",
                         "a first checkpoint", "Is the trainer running, with this --workdir?")
    if not said:
      said = True
      print(f"waiting for the first checkpoint in {run.path}", file=sys.stderr, flush=True)
    time.sleep(poll)


def _excluded(path: str | os.PathLike | None) -> tuple[str, ...]:
  """The ids in a file, one a line; they may hold spaces."""
  if path is None:
    return ()
  try:
    with open(path, encoding="utf-8-sig") as file:
      ids = tuple(line.rstrip("\n") for line in file if line != "\n")
  except (OSError, UnicodeDecodeError) as e:
    raise ConfigError("exclude-ids", path, str(e), "a text file of ids, one a line") from e
  if not ids:
    print(f"{path}: no id, so nothing is left out: the numbers of all are the clean ones",
          file=sys.stderr)
  return ids
