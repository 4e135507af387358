"""Evaluates checkpoints as they come, beside the training that writes them."""

from __future__ import annotations

import pathlib
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from jft_reps.errors import StorageError
from jft_reps.task import Evaluator, Task
from jft_reps.training import checkpoints, notes
from jft_reps.training.best import held, keep_best, sweep
from jft_reps.training.events import Events
from jft_reps.training.run_directory import RunDirectory

_TRIES = 5


def load_model(path: pathlib.Path | str, task: Task, model: Any, average: bool = False) -> None:
  """Assigns a model from a checkpoint, strictly: every variable must be there.

  What the checkpoint says of its labels, network and pixels must be what the task says.

  Args:
    path: the checkpoint without ending.
    task: names the model's variables.
    model: built by `task.build()`.
    average: takes the moving average of each trained weight, where the checkpoint has one.

  Raises:
    StorageError: lists what is missing, of another shape, or said otherwise.
  """
  notes.check(path, getattr(task, "notes", {}))
  items = dict(task.checkpoint_items(model))
  if average:
    stored = checkpoints.shapes(path)
    trained = set(task.trainable(model))
    items = {f"ema/{name}" if name in trained and f"ema/{name}" in stored else name: item
             for name, item in items.items()}
  checkpoints.restore(path, items, only_in_checkpoint=".*")


def judge(evaluator: Evaluator, model: Any, exclude_ids: Sequence[str] = (),
          predict: Callable | None = None,
          first_batch: Callable[[Any], None] = lambda batch: None) -> dict[str, float]:
  """Runs one evaluator over its dataset; numbers by TensorBoard name.

  Args:
    evaluator: fresh.
    model: with its weights loaded.
    exclude_ids: pictures to leave out of a second set of numbers, marked `clean`.
    predict: a traced function of a batch, to use one over several evaluations.
    first_batch: called with the first batch.
  """
  predict = predict or _predictor(evaluator, model)
  for i, batch in enumerate(evaluator.dataset()):
    if i == 0:
      first_batch(batch)
    predictions = tf.nest.map_structure(lambda t: t.numpy(), predict(batch))
    truth = tf.nest.map_structure(lambda t: t.numpy(), dict(batch))
    ids = [name.decode("utf-8", "backslashreplace") for name in truth["id"].tolist()]
    evaluator.update(ids, predictions, truth)
  values = evaluator.result()
  if exclude_ids:
    clean = evaluator.result(exclude_ids=exclude_ids)
    values = {**values, **{f"{name} (clean)": v for name, v in clean.items()}}
  return values


def by_set(evaluator: Evaluator, values: dict[str, float], first: bool) -> dict[str, float]:
  """Numbers of the first evaluation set keep their names; others carry the name of their set."""
  return values if first else {f"{evaluator.name}: {k}": v for k, v in values.items()}


def _predictor(evaluator: Evaluator, model: Any) -> Callable:
  return tf.function(lambda batch: evaluator.predict(model, batch), reduce_retracing=True)


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
               say: Callable[[str], None] = lambda text: print(text, file=sys.stderr)):
    self._task, self._run = task, run
    self._milestones, self._average = tuple(milestones), average
    self._best_name = task.best if best is None else best
    self._exclude, self._details, self._say = tuple(exclude_ids), details, say
    self._model = None
    self._predict: dict[str, Any] = {}
    self._events: dict[str, Events] = {}
    self._skipped: set[int] = set()

  def follow(self, poll: float = 2.0, timeout: float | None = None) -> dict[int, dict[str, float]]:
    """Evaluates until the run is done and its last checkpoint evaluated; numbers by step.

    Raises:
      StorageError: nothing new came for `timeout` seconds.
    """
    sweep(self._run.path)
    results = self._known()
    heard = said = time.monotonic()
    while True:
      done = self._run.done()  # before listing: what is written after it is seen next time
      step = self._next(set(results))
      if step is not None:
        results[step] = self._evaluate_with_retries(step)
        heard = said = time.monotonic()
      elif done is not None:
        return results
      else:
        waited = time.monotonic() - heard
        if timeout is not None and waited > timeout:
          raise StorageError("no-checkpoint", self._run.path, f"nothing new for {waited:.0f} s",
                             "a new checkpoint or DONE", "Is the trainer still running?")
        if time.monotonic() - said > 60:
          said = time.monotonic()
          self._say(f"waiting for a checkpoint in {self._run.path}, last seen {waited:.0f} s ago")
        time.sleep(poll)

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
    self._say(f"step {step}: {self._best_name} = {'n/a' if number is None else f'{number:.4f}'} "
              f"({time.monotonic() - start:.1f} s)")
    return values

  def _judge_all(self, step: int) -> dict[str, float]:
    """Every evaluator's numbers of the model as it is, written to the evaluators' curves."""
    values: dict[str, float] = {}
    for evaluator in self._task.evaluators():
      events = self._event(evaluator.name)
      found = judge(
          evaluator, self._model, self._exclude, self._predictor(evaluator),
          lambda batch, events=events: events.pictures(  # noqa: B023
              step, self._task.pictures(self._model, batch)))
      events.scalars(step, found)
      values |= by_set(evaluator, found, first=not values)
      self._details(evaluator, step)
    return values

  def _predictor(self, evaluator) -> Callable:
    if evaluator.name not in self._predict:
      self._predict[evaluator.name] = _predictor(evaluator, self._model)
    return self._predict[evaluator.name]

  def _event(self, name: str) -> Events:
    if name not in self._events:
      self._events[name] = Events(self._run.path / f"eval_{name}")
    return self._events[name]


def step_of(path: pathlib.Path | str) -> int:
  """The step in a checkpoint's name, e.g. 1000 for `run/ckpt-1000`."""
  match = re.search(r"ckpt-(\d+)$", str(path))
  if match is None:
    raise StorageError("checkpoint-name", path, "no step in the name", "…/ckpt-STEP")
  return int(match[1])
