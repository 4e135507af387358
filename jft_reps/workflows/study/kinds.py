"""What the runs of a study do: write records, pre-train, transfer, probe."""

from __future__ import annotations

import pathlib
import shutil

from jft_reps.errors import ConfigError
from jft_reps.studies.plan import Run
from jft_reps.studies.running import run_files
from jft_reps.workflows import probing
from jft_reps.workflows.study import records as study_records
from jft_reps.workflows.study.configured import configured, train_on
from jft_reps.workflows.study.judges import Judge, Judged, leave
from jft_reps.workflows.study.transfers import Numbers, transfer

_INTERRUPTIONS = 20  # each leaves a checkpoint of its own, which must not displace another


def make_in(directory: pathlib.Path) -> None:
  """Makes the run whose directory this is, and commits its numbers.

  Raises:
    errors.JftError: it cannot be made.
  """
  run_files.write_numbers(directory, make(run_files.read_run(directory), directory))


def make(run: Run, directory: pathlib.Path) -> Numbers:
  """Makes a run that is resolved, in its directory; what came out.

  Raises:
    ConfigError: no such kind.
  """
  if run.kind not in KINDS:
    raise ConfigError("run-kind", run.name, run.kind, f"one of {', '.join(KINDS)}")
  return KINDS[run.kind](run, directory)


def records(run: Run, directory: pathlib.Path) -> Numbers:
  """Pictures by split, once they are there."""
  config, settings = configured(run, directory)
  counts = study_records.make(config, settings, directory)
  return {f"pictures {name}": count for name, count in counts.items()}


def pretrain(run: Run, directory: pathlib.Path) -> Numbers:
  """Trains, and evaluates the checkpoints to keep: `… at step N` beside the last one's numbers."""
  from jft_reps.training.run_directory import checkpoints

  config, _ = configured(run, directory)
  options, kept = config.train, config.train.keep
  planned = sorted({*range(0, options.steps, options.checkpoint_every), options.steps})[-kept:]
  options.keep += _INTERRUPTIONS
  train_on(config)
  steps = [step for step in checkpoints.committed(directory)
           if step in {*planned, *options.keep_steps}]
  numbers: Numbers = {}
  judge = Judge(config)
  for step in steps:
    judged = judge(checkpoints.prefix(directory, step))
    numbers |= {f"{name} at step {step}": value for name, value in judged.numbers.items()}
  leave(directory, judged)
  return numbers | judged.numbers


def probe(run: Run, directory: pathlib.Path) -> Numbers:
  """A linear probe on frozen features."""
  from jft_reps.tasks.evaluators import scores

  config, settings = configured(run, directory / "probe")
  config.task.eval_splits = (settings["test"],)
  if (directory / "probe").exists():  # of an attempt that was cut off
    shutil.rmtree(directory / "probe")
  result = probing.probe(config, untrained=False)
  if "classification/top1" in result["values"]:
    leave(directory, Judged(result["values"], {}, f"{scores.TopKSet.definition}; probe: "
                            f"{result['method']}", settings["test"], {
                                **result["chance"],
                                **{f"few-shot {name}": shot["chance"] for name, shot in
                                   result["few_shot"].items()}}))
  few = {f"few-shot {name}": shot["mean"] for name, shot in result["few_shot"].items()}
  return {**result["values"], **few}


KINDS = {"records": records, "pretrain": pretrain, "transfer": transfer, "probe": probe}
