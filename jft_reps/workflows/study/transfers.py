"""Transfers: trained with every learning rate, the best chosen on a development split, tested.

Settings of such a run, beside those of `configured`:

  study.rates     learning rates, of which the development split chooses
  study.more_rates  how many are tried beyond them at most, while the lowest or highest is the best
  study.dev       the development split
  study.number    the number of it that chooses, by its TensorBoard name
  study.rate_of   in place of these: numbers of a run whose rate is taken, or the next lower one
                  that it tried where that one diverges
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence

from jft_reps import whole_files
from jft_reps.errors import ConfigError, DataError, NumericError
from jft_reps.studies.plan import Run
from jft_reps.studies.running import run_files
from jft_reps.workflows import weights
from jft_reps.workflows.study import rates as study_rates
from jft_reps.workflows.study.configured import configured, train_on
from jft_reps.workflows.study.judges import Judge, Judged, leave

Numbers = dict[str, float | None]


def transfer(run: Run, directory: pathlib.Path) -> Numbers:
  """Trains with each rate, takes the one that is best on the development split, and tests it.

  A single rate needs no development split. One at which the loss or the weights diverge cannot be
  chosen. Where the best is the lowest or highest, more are tried beyond it, see `rates`. What
  was trained is kept of the chosen one alone.

  Raises:
    ConfigError: the number that chooses is none of the development split.
    DataError: all of them diverge.
  """
  rates = list(run.overrides.get("study.rates") or [None])  # None: the configuration's own
  judge, found, numbers = TransferJudge(run, directory), {}, {}
  if "study.rate_of" in run.overrides:
    rate = _taken(run, directory)
  elif len(rates) > 1:
    found = _tried(run, directory, rates, judge)
    rate, numbers = _chosen(run, found)
  else:
    (rate,) = rates
    _train(run, directory, rate)
  judged = judge(rate, "test")
  leave(directory, judged)
  for other in set(found) - {rate}:
    shutil.rmtree(trained_in(directory, other), ignore_errors=True)
  return {**judged.numbers, **numbers, **({} if rate is None else {"rate": rate})}


def _taken(run: Run, directory: pathlib.Path) -> float:
  """The rate of another run, or the next lower one that does not diverge, after training with it.

  Raises:
    NumericError: the lowest diverges too.
  """
  *rates, lowest = study_rates.fallbacks(run_files.read_numbers(
      os.path.dirname(run.overrides["study.rate_of"])))
  for rate in rates:
    try:
      _train(run, directory, rate)
      return rate
    except NumericError:
      shutil.rmtree(trained_in(directory, rate), ignore_errors=True)
  _train(run, directory, lowest)
  return lowest


class TransferJudge:
  """Evaluates what a transfer trained, whichever its rate, by one model."""

  def __init__(self, run: Run, directory: pathlib.Path):
    self._run, self._directory = run, directory
    self._judge: Judge | None = None

  def __call__(self, rate: float | None, split: str) -> Judged:
    """Of the newest checkpoint at a rate, on the `dev` or the `test` split."""
    config, settings = _at_rate(self._run, self._directory, rate)
    splits = ["dev", "test"] if len(settings.get("rates") or ()) > 1 else ["test"]
    config.task.eval_splits = tuple(settings[name] for name in splits)
    self._judge = self._judge or Judge(config)
    newest = weights.open_source(config.workdir).tensors.path
    return self._judge(newest, splits.index(split))


def _tried(run: Run, directory: pathlib.Path, rates: Sequence[float],
           judge: Callable[[float, str], Judged]) -> dict[float, Numbers]:
  """Numbers on the development split by rate: of those given, and beyond while an edge is best."""
  key = run.overrides.get("study.number")
  found = {rate: _tuned(run, directory, rate, judge) for rate in rates}
  for _ in range(run.overrides.get("study.more_rates", 0)):
    rate = study_rates.beyond({rate: numbers.get(key) for rate, numbers in found.items()})
    if rate is not None:
      found[rate] = _tuned(run, directory, rate, judge)
  return found


def _chosen(run: Run, found: Mapping[float, Numbers]) -> tuple[float, Numbers]:
  """The best rate, its numbers on the development split, and of every rate what chose."""
  finite = {rate: numbers for rate, numbers in found.items() if numbers}
  if not finite:
    raise DataError("run-failed", run.name, f"diverged at rates {list(found)}", "one that trains",
                    "Lower the rates.")
  key, known = run.overrides.get("study.number"), next(iter(finite.values()))
  if key not in known:
    raise ConfigError("study-number", run.name, f"rates are to be chosen by {key!r}",
                      f"a number of the development split: {', '.join(known)}")
  best = study_rates.best({rate: numbers[key] for rate, numbers in finite.items()})
  best = next(iter(finite)) if best is None else best
  return best, {**{f"dev {name}": value for name, value in finite[best].items()},
                **{f"dev {key} at rate {r:g}": numbers.get(key) for r, numbers in found.items()}}


def _tuned(run: Run, directory: pathlib.Path, rate: float,
           judge: Callable[[float, str], Judged]) -> Numbers:
  """Numbers of the development split after training with a rate; none if it diverges."""
  path = directory / f"dev_{rate:g}.json"
  if path.exists():
    return json.loads(path.read_text())
  try:
    _train(run, directory, rate)
    numbers = judge(rate, "dev").numbers
  except NumericError:
    numbers = {}
  whole_files.write(path, json.dumps(numbers))
  return numbers


def _at_rate(run: Run, directory: pathlib.Path, rate: float | None):
  """Configuration and settings of a transfer with one rate; None is the configuration's own."""
  config, settings = configured(run, trained_in(directory, rate))
  if rate is not None:
    config.schedule.initial = rate
  return config, settings


def _train(run: Run, directory: pathlib.Path, rate: float | None) -> None:
  train_on(_at_rate(run, directory, rate)[0])


def trained_in(directory: pathlib.Path, rate: float | None) -> pathlib.Path:
  """Run directory of a transfer with one rate."""
  return directory / ("run" if rate is None else f"run_{rate:g}")
