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
from typing import Any

from jft_reps import whole_files
from jft_reps.errors import ConfigError, DataError, NumericError
from jft_reps.studies import rates
from jft_reps.studies.plan import Run
from jft_reps.studies.running import run_files
from jft_reps.workflows import weights
from jft_reps.workflows.study.configured import configured, train_on
from jft_reps.workflows.study.judges import Judge, Judged, leave

Numbers = dict[str, float | None]


def transfer(run: Run, directory: pathlib.Path) -> Numbers:
  """Trains with each rate, takes the one that is best on the development split, and tests it.

  A single rate needs no development split. One at which the loss or the weights diverge cannot be
  chosen. Where the best is the lowest or highest, more are tried beyond it, see `rates.beyond`.
  What was trained is kept of the chosen one alone. After a kill, rates whose numbers are there are
  not trained again.

  Raises:
    ConfigError: the number that chooses is none of the development split.
    DataError: all of the rates diverge.
    NumericError: so does the single rate, or the lowest that another run tried.
  """
  trials, given = Trials(run, directory), run.overrides.get("study.rates") or [None]
  dev: dict[float, Numbers] = {}  # by rate: numbers of the development split, none if it diverges
  chosen: Numbers = {}
  rate: float | None  # None: the configuration's own
  if source := run.overrides.get("study.rate_of"):
    tried = rates.fallbacks(run_files.read_numbers(os.path.dirname(source)))
    rate = next(rate for rate in tried if trials.trains(rate, last=rate == tried[-1]))
  elif len(given) == 1:
    (rate,) = given
    trials.train(rate)
  else:
    key = run.overrides.get("study.number", "")
    for each in given:
      dev[each] = trials.dev(each)
    for _ in range(run.overrides.get("study.more_rates", 0)):
      further = rates.beyond({rate: numbers.get(key) for rate, numbers in dev.items()})
      if further is None:
        break
      dev[further] = trials.dev(further)
    finite = {rate: numbers for rate, numbers in dev.items() if numbers}
    if not finite:
      raise DataError("run-failed", run.name, f"diverged at rates {list(dev)}", "one that trains",
                      "Lower the rates.")
    first, known = next(iter(finite.items()))
    if key not in known:
      raise ConfigError("study-number", run.name, f"rates are to be chosen by {key!r}",
                        f"a number of the development split: {', '.join(known)}")
    best = rates.best({rate: numbers[key] for rate, numbers in finite.items()})
    rate = first if best is None else best  # none of the scores is finite, though training was
    chosen = {f"dev {name}": value for name, value in finite[rate].items()}
    chosen |= {rates.number_at(key, each): numbers.get(key) for each, numbers in dev.items()}
  judged = trials.judge(rate, "test")
  leave(directory, judged)
  for each in set(dev) - {rate}:
    shutil.rmtree(trained_in(directory, each), ignore_errors=True)
  return {**judged.numbers, **chosen, **({} if rate is None else {"rate": rate})}


class Trials:
  """Trains a transfer at any rate, None for the configuration's own, and evaluates what came out.

  One model, built at the first evaluation, takes the weights of all rates.
  """

  def __init__(self, run: Run, directory: pathlib.Path):
    self._run, self._directory = run, directory
    self._judge: Judge | None = None

  def train(self, rate: float | None) -> None:
    """Trains to the end.

    Raises:
      NumericError: it diverges.
    """
    train_on(self._at(rate)[0])

  def trains(self, rate: float, last: bool) -> bool:
    """Whether training at a rate gets to its end; what it leaves is removed if not.

    Raises:
      NumericError: it does not, and it was the last one to try.
    """
    try:
      self.train(rate)
    except NumericError:
      if last:
        raise
      shutil.rmtree(trained_in(self._directory, rate), ignore_errors=True)
      return False
    return True

  def dev(self, rate: float) -> Numbers:
    """Numbers of the development split after training; none if it diverges. They are kept."""
    path = self._directory / f"dev_{rate:g}.json"
    if path.exists():
      return json.loads(path.read_text())
    numbers: Numbers = {}
    try:
      self.train(rate)
      numbers |= self.judge(rate, "dev").numbers
    except NumericError:
      numbers = {}
    whole_files.write(path, json.dumps(numbers))
    return numbers

  def judge(self, rate: float | None, split: str) -> Judged:
    """Evaluates the newest checkpoint at a rate on the `dev` or the `test` split."""
    config, settings = self._at(rate)
    splits = ["dev", "test"] if len(settings.get("rates") or ()) > 1 else ["test"]
    config.task.eval_splits = tuple(settings[name] for name in splits)
    self._judge = self._judge or Judge(config)
    newest = weights.open_source(config.workdir).tensors.path
    return self._judge(newest, splits.index(split))

  def _at(self, rate: float | None) -> tuple[Any, dict[str, Any]]:
    """Configuration and settings of the run with a rate."""
    config, settings = configured(self._run, trained_in(self._directory, rate))
    if rate is not None:
      config.schedule.initial = rate
    return config, settings


def trained_in(directory: pathlib.Path, rate: float | None) -> pathlib.Path:
  """Run directory of a transfer with one rate."""
  return directory / ("run" if rate is None else f"run_{rate:g}")
