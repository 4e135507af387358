"""Evaluates checkpoints as they come, beside the training that writes them."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jft_reps.errors import StorageError, printable
from jft_reps.task import Batch, Evaluator, Task
from jft_reps.training.evaluation.judging import by_set, chance, judge, predictor, to_stderr
from jft_reps.training.run_directory import checkpoints, notes
from jft_reps.training.run_directory.best import held, keep_best, sweep
from jft_reps.training.run_directory.directory import RunDirectory
from jft_reps.training.run_directory.events import Events

__all__ = ["Monitor", "by_set", "chance", "judge", "load_model", "trainer_stopped", "write_curves"]


_TRIES = 5


def load_model(path: pathlib.Path | str, task: Task, model: Any, average: bool = False) -> None:
  """Assigns a model from a checkpoint, strictly: every variable must be there.

  What the checkpoint says of its labels, network and pixels must be what the task says.

  Args:
    path: the checkpoint without ending.
    task: names the model's variables.
    model: built by `task.build()`.
    average: takes the moving average of each weight that was trained.

  Raises:
    StorageError: lists what is missing, of another shape, or said otherwise; no averages.
  """
  notes.check(path, getattr(task, "notes", {}))
  items = dict(task.checkpoint_items(model))
  if average:
    stored = checkpoints.shapes(path)
    items = {f"ema/{name}" if f"ema/{name}" in stored else name: item
             for name, item in items.items()}
    if not any(name.startswith("ema/") for name in items):
      raise StorageError("no-average", path, "no moving average of the weights",
                         "a checkpoint of a run that keeps one", "Leave --average out.")
  checkpoints.restore(path, items, only_in_checkpoint=".*")


class Monitor:
  """Follows a run directory: curves in `eval_<set>/`, lines in `metrics.jsonl`, `best/`.

  It takes the newest checkpoint, says which ones it skips because a newer one came, and always
  evaluates the first, the last, and of each milestone the first checkpoint at or after it.

  Args:
    task: builds the model and the evaluators.
    run: the directory a trainer writes to.
    milestones: steps never to skip.
    average: evaluates the moving average of the weights.
    best: name of the number whose best checkpoint is kept in `best/`; None: the task's.
    exclude_ids: pictures to leave out of a second set of numbers, marked `clean`.
    details: called with (evaluator, step) after each evaluation, e.g. to write per-class results.
    say: prints one line.
  """

  def __init__(self, task: Task, run: RunDirectory, milestones: Iterable[int] = (),
               average: bool = False, best: str | None = None,
               exclude_ids: Sequence[str] = (),
               details: Callable[[Any, int], None] = lambda evaluator, step: None,
               say: Callable[[str], None] = to_stderr):
    self._task, self._run = task, run
    self._milestones, self._average = tuple(milestones), average
    self._best_name = task.best if best is None else best
    self._exclude, self._details, self._say = tuple(exclude_ids), details, say
    self._model = None
    self._predict: dict[str, Any] = {}
    self._events: dict[str, Events] = {}
    self._skipped: set[int] = set()
    self._guessed: dict[str, float] = {}

  def follow(self, poll: float = 2.0, timeout: float | None = None) -> dict[int, dict[str, float]]:
    """Evaluates until the run is done and its last checkpoint evaluated; numbers by step.

    Raises:
      StorageError: the trainer left word that it stopped; or for `timeout` seconds no checkpoint
        came, nor a line of `metrics.jsonl`, to which the trainer appends far more often.
    """
    sweep(self._run.path)
    results, written = self._known(), self._written()
    came = heard = said = time.monotonic()
    while True:
      done = self._run.done()  # before listing: what is written after it is seen next time
      step = self._next(set(results))
      if step is not None:
        results[step] = self._evaluate_with_retries(step)
        came = heard = said = time.monotonic()
      elif done is not None:
        return results
      elif (reason := self._run.stopped()) is not None:
        raise trainer_stopped(self._run, reason)
      else:
        now, before, written = time.monotonic(), written, self._written()
        heard = heard if written == before else now
        if timeout is not None and now - heard > timeout:
          raise StorageError(
              "no-checkpoint", self._run.path, f"no new checkpoint for {now - came:.0f} s and "
              f"nothing new in metrics.jsonl for {now - heard:.0f} s", "either, or DONE",
              "Is the trainer still running?")
        if now - said > 60:
          said = now
          self._say(f"waiting for a checkpoint in {self._run.path}: the last came "
                    f"{now - came:.0f} s ago, the trainer wrote {now - heard:.0f} s ago")
        time.sleep(poll)

  def _written(self) -> int:
    """Bytes of `metrics.jsonl`, which grow while the trainer works, also on another machine."""
    with contextlib.suppress(OSError):
      return (self._run.path / "metrics.jsonl").stat().st_size
    return 0

  def _known(self) -> dict[int, dict[str, float]]:
    return {m["step"]: {k: v for k, v in m.items() if k not in ("event", "step", "time", "set")}
            for m in self._run.metrics() if m.get("event") == "eval"}

  def _next(self, evaluated: set[int]) -> int | None:
    """The step to evaluate now: a milestone first, else the newest."""
    steps = checkpoints.committed(self._run.path)
    left = [s for s in steps if s not in evaluated and s not in self._skipped]
    if not left:
      return None
    always = {*checkpoints.milestones(steps, self._milestones), 0, *([] if evaluated else left[:1])}
    first = next((s for s in left if s in always), None)
    chosen = left[-1] if first is None else first
    if chosen == left[-1]:
      for step in left[:-1]:
        self._skipped.add(step)
        self._say(f"skipping step {step}: step {chosen} is newer")
    return chosen

  def _evaluate_with_retries(self, step: int) -> dict[str, float]:
    for attempt in range(_TRIES):
      try:
        return self.evaluate(step)
      except StorageError:
        # The trainer may have removed it meanwhile; a committed one is worth another try.
        if attempt == _TRIES - 1 and step in checkpoints.committed(self._run.path):
          raise
        if step not in checkpoints.committed(self._run.path):
          self._say(f"step {step} was removed before it could be evaluated")
          self._skipped.add(step)
          return {}
        time.sleep(0.5 * 2**attempt)
    raise AssertionError("unreachable")

  def evaluate(self, step: int) -> dict[str, float]:
    """Evaluates one committed checkpoint and writes its numbers; returns them by name."""
    start = time.monotonic()
    if self._model is None:
      self._model = self._task.build()
    with held(self._run.path, step) as folder:
      load_model(checkpoints.prefix(folder, step), self._task, self._model, self._average)
      values = self._judge_all(step)
      number = values.get(self._best_name)
      keep_best(self._run.path, step, folder, self._best_name, number)
    self._run.append(event="eval", step=step, time=time.time(), **values)
    clean = f", clean {_said(values.get(f'{self._best_name} (clean)'))}" if self._exclude else ""
    guessed = self._guessed.get(self._best_name)
    beside = "" if guessed is None else f", guessing {guessed:.4f}"
    self._say(f"step {step}: {self._best_name} = {_said(number)}{clean}{beside} "
              f"({time.monotonic() - start:.1f} s)")
    return values

  def _judge_all(self, step: int) -> dict[str, float]:
    """Every evaluator's numbers of the model as it is, written to the evaluators' curves."""
    values: dict[str, float] = {}
    for evaluator in self._task.evaluators():
      drawn: list[Mapping[str, np.ndarray]] = []
      found = judge(
          evaluator, self._model, self._exclude, self._predictor(evaluator),
          functools.partial(self._draw, drawn),
          self._task, self._say)
      guessed = chance(evaluator, self._exclude)
      write_curves(self._event, evaluator.name, step, found, guessed)
      self._event(f"eval_{evaluator.name}").pictures(step, {
          n: np.concatenate([d[n] for d in drawn]) for n in drawn[0]} if drawn else {})
      self._guessed |= by_set(evaluator, guessed, first=not values)
      values |= by_set(evaluator, found, first=not values)
      self._details(evaluator, step)
    return values

  def _draw(self, drawn: list[Mapping[str, np.ndarray]], batch: Batch) -> None:
    """Adds the pictures of a batch to those for TensorBoard."""
    drawn.append(self._task.pictures(self._model, batch))

  def _predictor(self, evaluator: Evaluator) -> Callable:
    if evaluator.name not in self._predict:
      self._predict[evaluator.name] = predictor(evaluator, self._model)
    return self._predict[evaluator.name]

  def _event(self, folder: str) -> Events:
    return self._events.setdefault(folder, Events(self._run.path / folder))


def trainer_stopped(run: RunDirectory, reason: str) -> StorageError:
  """The end of whoever follows a run whose trainer ended before its last step."""
  return StorageError("run-stopped", run.path, f"its trainer ended: {printable(reason, 500)}",
                      "a run that goes on", "Start `train` again with this --workdir: it resumes.")


def write_curves(at: Callable[[str], Events], name: str, step: int, numbers: Mapping[str, float],
                 guessed: Mapping[str, float]) -> None:
  """A point in the curves of an evaluation set, and in those of guessing.

  TensorBoard draws a chart per tag and a line per folder, so guessing has its own.

  Args:
    at: the event files of a folder of the run directory.
    name: of the set.
    step: of the checkpoint.
    numbers, guessed: by name.
  """
  at(f"eval_{name}").scalars(step, numbers)
  if guessed:
    at(f"eval_{name}_guessing").scalars(step, guessed)


def _said(number: float | None) -> str:
  return "n/a" if number is None else f"{number:.4f}"
