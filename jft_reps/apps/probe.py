"""How good a frozen representation is: a linear probe, and few-shot accuracy.

  python -m jft_reps.apps.probe --config=experiments/table1_imagenet.py:frozen --workdir=RUN \\
      --config.init.checkpoint=WEIGHTS --config.task.records=RECORDS

Pooled conv5 features of all pictures are computed once and kept in --features; the classifier is
solved on them (ridge regression in closed form, or --config.probe.method=logistic by L-BFGS). It
goes into the run's checkpoint, so that `evaluate` and `export` take it like a trained one.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line, compose
from jft_reps.apps.train import resolve
from jft_reps.errors import ConfigError, StorageError

FLAGS = flags.FlagValues()
flags.DEFINE_string("config", None, "experiments/<file>.py[:row,option…].", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "The run directory.", flag_values=FLAGS)
flags.DEFINE_string("features", None, "Folder of cached features (default: in the run directory).",
                    flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  config, _ = resolve(argv, FLAGS, __doc__)
  result = probe(config, FLAGS.features)
  print(f"{result['method']}")
  for name, value in result["values"].items():
    print(f"  {name:32} {value:10.4f}")
  for name, shot in result["few_shot"].items():
    print(f"  {name:32} {shot['mean']:10.4f} ± {shot['deviation']:.4f} over {len(shot['draws'])} "
          f"draws of {shot['pictures']} pictures")
  return 0


def probe(config, features: str | None = None) -> dict:
  """Fits the probe of a configuration; its numbers, also in `probe.json` of the run directory.

  Raises:
    StorageError: the run directory holds a run already.
    ConfigError: the task is no classification.
  """
  from jft_reps.training import initialise, progress, run_directory

  compose.generate(config, progress.counter("generated pictures"))
  path = config.init.checkpoint
  source = initialise.open_source(path) if path else None
  task = compose.task(config, source)
  if not hasattr(task, "feature_key"):
    raise ConfigError("task", "config.task.name", repr(config.task.name), "classify")
  options = compose.probe_options(config)
  run = run_directory.RunDirectory(config.workdir)
  run.open()
  try:
    state = _state(config, run, task, source)
    run.describe(config.to_dict(), {"probe": f"{options.method}, features by frozen statistics"})
    result = _solve(task, state.model, config.task.train_split, options, run,
                    features or run.path / "features")
    state.save(run.path, {"run": run_directory.run_id(config.to_dict()),
                          "versions": run_directory.versions()}, task.notes)
    (run.path / "probe.json").write_text(json.dumps(result, indent=1))
    run.finish(0)
  finally:
    run.close()
  return result


def _state(config, run, task, source):
  """The network with its weights, and batch-norm as the task wants it."""
  import tensorflow as tf

  from jft_reps.training import checkpoints, initialise, optimizers
  from jft_reps.training import state as state_lib

  if checkpoints.committed(run.path):
    raise StorageError("workdir-has-run", run.path, "checkpoints of a run", "a new directory",
                       "Choose another --workdir; --features=FOLDER shares computed features.")
  tf.random.set_seed(config.train.seed)
  state = state_lib.TrainState(task, optimizers.Momentum(), 1, max(1, len(task.reasons)), False,
                               tf.distribute.get_strategy())
  said = "starting from random weights"
  if source is not None:
    said = initialise.from_source(
        state, source, config.init.get("allow", ()), run.path / "init_report.json").text()
  print(f"jft_reps: {said}\n{task.prepare(state.model)}", flush=True)
  return state


def _solve(task, model, train_split: str, options, run, folder: str | pathlib.Path) -> dict:
  """Fits on the training features and judges on each evaluation split."""
  from jft_reps.tasks import frozen_features
  from jft_reps.training import events, monitor, progress

  embed = frozen_features.embedder(model)

  def features(split: str):
    bar = progress.counter(f"pictures of {split}")
    total = task.size(split)
    return frozen_features.extract(task, model, split, folder, lambda done: bar(done, total),
                                   embed)

  train = features(train_split)
  fitted = frozen_features.fit(train, len(task.labels), options)
  frozen_features.install(fitted, model)
  values, few_shot = {}, {}
  for evaluator in task.evaluators():
    test = features(evaluator.name)
    evaluator.update(test.ids, fitted.scores(test.values), {"targets": test.targets})
    found = evaluator.result()
    events.Events(run.path / f"eval_{evaluator.name}").scalars(0, found)
    if not few_shot and test.targets.ndim == 1 and options.shots:
      few_shot = frozen_features.few_shot(train, test, len(task.labels), options)
    values |= monitor.by_set(evaluator, found, first=not values)
  run.append(event="eval", step=0, **values)
  return {"method": fitted.method, "values": values, "few_shot": few_shot}


if __name__ == "__main__":
  sys.exit(command_line.run(main))
