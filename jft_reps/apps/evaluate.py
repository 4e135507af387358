"""Evaluates a checkpoint, or every checkpoint of a run as it comes.

  python -m jft_reps.apps.evaluate --config=experiments/fig3_pretraining.py:random \\
      --workdir=/tmp/run [--checkpoint=/tmp/run/ckpt-1000] [--follow]

Prints the numbers and a verdict against the configuration's EXPECTED (exit code 1 if one is
outside its tolerance). With --follow it is the monitor: curves in TensorBoard, best/, until DONE.
--submission=DIR writes the detections, masks or poses of each set into DIR/<set> as COCO's or VOC's
server wants them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line, compose
from jft_reps.apps.train import resolve
from jft_reps.errors import ConfigError, StorageError

FLAGS = flags.FlagValues()
flags.DEFINE_string("config", None, "experiments/<file>.py[:row,option…].", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "The run directory.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", None, "A checkpoint without ending; default: the newest.",
                    flag_values=FLAGS)
flags.DEFINE_boolean("follow", False, "Evaluate checkpoints as they come, until DONE.",
                     flag_values=FLAGS)
flags.DEFINE_boolean("average", None, "Evaluate the moving average of the weights (default: if "
                     "the configuration keeps one).", flag_values=FLAGS)
flags.DEFINE_string("exclude_ids", None, "File of picture ids, one a line, to leave out of a "
                    "second set of numbers.", flag_values=FLAGS)
flags.DEFINE_float("timeout", 3600.0, "Seconds without a new checkpoint or a new line in "
                   "metrics.jsonl until --follow gives up.", flag_values=FLAGS)
flags.DEFINE_string("submission", None, "Folder for what was found in the form of the test "
                    "server.", flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  config, module = resolve(argv, FLAGS, __doc__)
  if FLAGS.follow and FLAGS.submission:
    raise ConfigError("flags", "--submission", "given with --follow", "one of them")
  average = FLAGS.average
  if average is None:
    average = config.train.get("ema_decay", 0.0) > 0
  if FLAGS.follow:
    return follow(config, average, FLAGS.exclude_ids, FLAGS.timeout)
  values = evaluate(config, FLAGS.checkpoint, average, FLAGS.exclude_ids, FLAGS.submission)
  print(json.dumps(values, indent=1, sort_keys=True))
  _, _, row = FLAGS.config.partition(":")
  return verdict(values, row, getattr(module, "EXPECTED", []))


def evaluate(config, checkpoint: str | None = None, average: bool = False,
             exclude_file: str | None = None, submission: str | None = None) -> dict[str, float]:
  """Numbers of one checkpoint by TensorBoard name; definitions and classes go to stderr.

  Raises:
    ConfigError: a submission is wanted of a task that has none.
  """
  from jft_reps.training import initialise, monitor

  excluded = _excluded(exclude_file)
  source = initialise.open_source(checkpoint or config.workdir)
  task, path = compose.task(config, source), source.tensors.path
  model = task.build()
  monitor.load_model(path, task, model, average)
  values: dict[str, float] = {}
  for evaluator in task.evaluators():
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
    values |= monitor.by_set(evaluator, found, first=not values)
  print(f"evaluated {path}", file=sys.stderr)
  return values


def _said(result) -> str:
  """A result's definition, and the table of those that have one."""
  return result.table() if hasattr(result, "table") else result.definition


def follow(config, average: bool = False, exclude_file: str | None = None,
           timeout: float = 3600.0) -> int:
  """The monitor of a run directory, until its last checkpoint is evaluated.

  Raises:
    StorageError: no sign of the trainer for `timeout` seconds, or a checkpoint of another
      configuration.
  """
  from jft_reps.training import initialise, monitor, run_directory

  excluded = _excluded(exclude_file)
  run = run_directory.RunDirectory(config.workdir)
  _wait_for_the_first(run, timeout)
  task = compose.task(config, initialise.open_source(run.path))
  monitor.Monitor(
      task, run, config.train.get("keep_steps", ()), average, exclude_ids=excluded,
      details=class_results(task, run)).follow(timeout=timeout)
  return 0


def _wait_for_the_first(run, timeout: float, poll: float = 1.0) -> None:
  """Waits for a run's first checkpoint: before it, the trainer may still be writing records."""
  from jft_reps.training import checkpoints

  start, said = time.monotonic(), False
  while not checkpoints.committed(run.path):
    if time.monotonic() - start > timeout:
      raise StorageError("no-checkpoint", run.path, f"none in {timeout:.0f} s",
                         "a first checkpoint", "Is the trainer running, with this --workdir?")
    if not said:
      said = True
      print(f"waiting for the first checkpoint in {run.path}", file=sys.stderr, flush=True)
    time.sleep(poll)


def class_results(task, run):
  """Writes each evaluation's numbers per class beside its curves."""
  from jft_reps.metrics import class_results as results

  def write(evaluator, step: int) -> None:
    if getattr(evaluator, "last", None) is not None:
      folder = run.path / f"eval_{evaluator.name}"
      folder.mkdir(exist_ok=True)
      if hasattr(evaluator.last, "table"):
        (folder / f"per_class_{step}.txt").write_text(evaluator.last.table())
      else:
        results.write_csv(evaluator.last, folder / f"per_class_{step}.csv", task.labels)
      (folder / "definition.txt").write_text(evaluator.last.definition + "\n")

  return write


def _excluded(path: str | None) -> tuple[str, ...]:
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


def verdict(values, row: str, expected) -> int:
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


if __name__ == "__main__":
  sys.exit(command_line.run(main))
