"""How good a frozen representation is: a linear probe on its features, and few-shot accuracy."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jft_reps.errors import ConfigError, StorageError
from jft_reps.workflows import (
  compose,
  configuration,
  evaluation_files,
  generating,
  presence,
  weights,
)

if TYPE_CHECKING:
  import ml_collections


def of_run(config: ml_collections.ConfigDict, records: str = "") -> ml_collections.ConfigDict:
  """The configuration that probes a run's features, in `probe` of its directory.

  Args:
    config: of the run, as it was trained.
    records: of pictures with labels; "": those of the run, if it classifies.

  Raises:
    ConfigError: the run is no classification, and no records are given.
    DataError: the records are not there.
  """
  run = config.workdir
  if not records and config.task.name != "classify":
    raise ConfigError("task", run, f"a run of {config.task.name}", "records of pictures with "
                      "labels to probe its features with", "Give --records.")
  sizes = {f"task.{key}": str(config.task[key]) for key in ("resize", "crop")
           if isinstance(config.task.get(key), int)}
  probed = configuration.resolve(
      "own:small,labels", {**sizes, "init.checkpoint": run}, records or config.task.records).config
  return configuration.placed(probed, os.path.join(run, "probe"))


def probe(config: ml_collections.ConfigDict, workdir: str | os.PathLike | None = None,
          features: str | os.PathLike | None = None, untrained: bool = True) -> dict[str, Any]:
  """Fits the probe of a configuration; its numbers, also in `probe.json` of the run directory.

  Args:
    config: of a task that classifies.
    workdir: the run directory; None: the configuration's own.
    features: folder of cached features; None: in the run directory.
    untrained: probe the same network with random weights as well, where there are others.

  Returns:
    `method`, `values` by TensorBoard name, what guessing (`chance`) and the `untrained` network
    give, `warning` (an edge of the grid, or ""), and `few_shot` accuracies, likewise.

  Raises:
    StorageError: the run directory holds a run already.
    ConfigError: the task is no classification.
  """
  config = configuration.placed(config, workdir)
  presence.check_start(config)
  from jft_reps import progress
  from jft_reps.tasks.frozen import features as frozen_features
  from jft_reps.training.run_directory import directory

  generating.generate(config, progress.counter("generated pictures"))
  path = config.init.checkpoint
  source = weights.open_source(path) if path else None
  task = compose.task(config, source)
  if not hasattr(task, "feature_key"):
    raise ConfigError("task", "config.task.name", repr(config.task.name), "classify")
  options = compose.probe_options(config)
  run = directory.RunDirectory(config.workdir)
  run.open()
  try:
    state = _state(config, run, task, source)
    run.describe(config.to_dict(), {"probe": f"{options.method}, features by frozen statistics"})
    folder = features or run.path / "features"
    fitted, evaluators, few_shot = _solve(
        task, state.model, config.task.train_split, options, folder)
    frozen_features.install(fitted, state.model)
    values, chance = _judged(run, evaluators)
    result = {"method": fitted.method, "values": values, "chance": chance, "untrained": {},
              "few_shot": few_shot, "warning": frozen_features.edge(fitted, options)}
    for shot in few_shot.values():
      shot["chance"] = chance["classification/top1"]
    if untrained and source is not None:
      result["untrained"], without = _untrained(task, config, options, folder)
      for name, shot in few_shot.items():
        shot["untrained"] = without[name]["mean"]
    state.save(run.path, {"run": directory.run_id(config.to_dict()),
                          "versions": directory.versions()}, task.notes)
    (run.path / "probe.json").write_text(json.dumps(result, indent=1))
    run.finish(0)
  finally:
    run.close()
  return result


def text(result: Mapping[str, Any]) -> str:
  """What a probe found, for people: each number beside those of guessing and of no training."""
  columns = {"measured": dict(result["values"]), "guessing": dict(result["chance"]),
             "untrained": dict(result["untrained"])}
  notes = {}
  for name, shot in result["few_shot"].items():
    for column, key in (("measured", "mean"), ("guessing", "chance"), ("untrained", "untrained")):
      if key in shot:
        columns[column][name] = shot[key]
    notes[name] = (f"± {shot['deviation']:.4f} over {len(shot['draws'])} draws of "
                   f"{shot['pictures']} pictures")
  names = [name for name in columns["measured"] if not name.endswith("/pictures")]
  lines = [evaluation_files.table(result["method"], names, columns, notes)]
  return "\n".join(lines + [f"WARNING: {w}" for w in [result["warning"]] if w])


def _state(config, run, task, source):
  """The network with its weights, and batch-norm as the task wants it."""
  import tensorflow as tf

  from jft_reps.training import initialise, optimizers
  from jft_reps.training import state as state_lib
  from jft_reps.training.run_directory import checkpoints

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


def _solve(task, model, train_split: str, options, folder: str | os.PathLike
           ) -> tuple[Any, list, dict[str, dict[str, Any]]]:
  """The probe of some features, the evaluators that have judged it, and few-shot accuracies."""
  from jft_reps.tasks.frozen import features as frozen_features

  train, tests = _features(task, model, train_split, folder)
  fitted = frozen_features.fit(train, len(task.labels), options)
  for evaluator, test in tests:
    evaluator.update(test.ids, fitted.scores(test.values), {"targets": test.targets})
  _, first = tests[0]
  few_shot = (frozen_features.few_shot(train, first, len(task.labels), options)
              if first.targets.ndim == 1 and options.shots else {})
  return fitted, [evaluator for evaluator, _ in tests], few_shot


def _judged(run, evaluators: Sequence[Any]) -> tuple[dict[str, float], dict[str, float]]:
  """The numbers of all sets, and what guessing gives; both go to their curves."""
  from jft_reps.training.evaluation import monitor
  from jft_reps.training.run_directory import events

  values: dict[str, float] = {}
  guessing: dict[str, float] = {}
  for evaluator in evaluators:
    found, guessed = evaluator.result(), monitor.chance(evaluator)
    monitor.write_curves(lambda place: events.Events(run.path / place), evaluator.name, 0, found,
                         guessed)
    guessing |= monitor.by_set(evaluator, guessed, first=not values)
    values |= monitor.by_set(evaluator, found, first=not values)
  run.append(event="eval", step=0, **values)
  return values, guessing


def _untrained(task, config, options, folder: str | os.PathLike
               ) -> tuple[dict[str, float], dict[str, dict[str, Any]]]:
  """The numbers of the same probe on the same network as it starts, with random weights."""
  import tensorflow as tf

  from jft_reps.training.evaluation import monitor

  tf.random.set_seed(config.train.seed)
  model = task.build()
  # Moving statistics of 0 and 1 are no statistics: those of the task's own pictures are taken.
  task.recalibrate(model)
  # In a folder of its own, as a cache holds the features of one network.
  _, evaluators, few_shot = _solve(task, model, config.task.train_split, options,
                                   os.path.join(folder, "untrained"))
  values: dict[str, float] = {}
  for evaluator in evaluators:
    values |= monitor.by_set(evaluator, evaluator.result(), first=not values)
  return values, few_shot


def _features(task, model, train_split: str, folder: str | os.PathLike) -> tuple[Any, list]:
  """Features of the training split, and (evaluator, features) of each evaluation split."""
  from jft_reps import progress
  from jft_reps.tasks.frozen import features as frozen_features

  embed = frozen_features.embedder(model)

  def features(split: str):
    bar = progress.counter(f"pictures of {split}")
    total = task.size(split)
    return frozen_features.extract(task, model, split, folder, lambda done: bar(done, total),
                                   embed)

  return features(train_split), [(e, features(e.name)) for e in task.evaluators()]
