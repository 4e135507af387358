"""The trainer: from a task and a run directory to committed checkpoints and curves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from jft_reps.errors import ClusterError, NumericError, StorageError
from jft_reps.task import Task
from jft_reps.training import cluster as cluster_lib
from jft_reps.training import engines, failures, placement, run_directory
from jft_reps.training.checkpoints import clean_up, committed, milestones, prefix
from jft_reps.training.events import Events
from jft_reps.training.log import PushLog
from jft_reps.training.options import Options
from jft_reps.training.signals import StopSignals
from jft_reps.training.state import TrainState
from jft_reps.training.step import TrainStep

_STALLED_SAVE = 20.0  # seconds for a last checkpoint while workers are silent

# Freeing a variable on a server waits for every worker, and a frozen one never answers: what a
# stalled run leaves is kept until the process ends.
_ABANDONED: list[Any] = []


class Trainer:
  """Trains a task in a run directory, resuming what is there.

  Args:
    task: what to train.
    run: where to; opened and closed by `train`.
    options: how.
    strategy: for one process: the default strategy or `MirroredStrategy`.
    cluster: for parameter servers, their addresses; `strategy` is then made from them.
    initialize: called with a fresh state (never when resuming) to load weights; returns a
      sentence that says what it did.
    notes: JSON values stored in every checkpoint, `preprocessing` and `labels`.
    reasons: names of the reasons for dropped records, in the order the task counts them.
    config: goes to `config.json`.
    progress: called with (step, note) after every push.
  """

  def __init__(self, task: Task, run: run_directory.RunDirectory, options: Options,
               strategy: tf.distribute.Strategy | None = None,
               cluster: cluster_lib.Cluster | None = None,
               initialize: Callable[[TrainState], str] | None = None,
               notes: Mapping[str, Any] | None = None, reasons: Sequence[str] = (),
               config: Mapping[str, Any] | None = None,
               progress: Callable[[int, str], None] = lambda step, note: None):
    self._task, self._run, self._options = task, run, options
    self._strategy = strategy or tf.distribute.get_strategy()
    self._cluster = cluster
    self._initialize = initialize
    self._notes, self._reasons = dict(notes or {}), tuple(reasons)
    self._config, self._progress = dict(config or {}), progress
    self._signals = StopSignals()
    self._failed_saves = 0
    self.restarts = 0

  def train(self) -> int:
    """Trains to `options.steps` and returns the last step.

    A lost parameter server is survived by starting again from the last checkpoint, here, at most
    `max_restarts` times without a new one in between. SIGTERM and SIGINT write one last
    checkpoint and end the process with 143 and 130; before the first push they only end it.
    """
    self._run.open()
    try:
      with self._signals.caught():
        return self._train_with_restarts()
    finally:
      self._run.close()

  def _train_with_restarts(self) -> int:
    lost, newest = 0, self._run.newest()
    while True:
      try:
        return self._session()
      except failures.SERVER_LOST as e:
        if self._cluster is None:
          raise
        steps = committed(self._run.path)
        lost = 1 if steps and steps[-1] != newest else lost + 1
        newest = steps[-1] if steps else None
        if lost > self._options.max_restarts:
          raise ClusterError("server-lost", "cluster", str(e)[:200], "parameter servers that stay",
                             f"{lost - 1} restarts brought no new checkpoint.") from e
        self.restarts += 1
        logging.warning("a parameter server was lost (%s); starting again from step %s",
                        failures.first_line(e)[:120], newest or 0)
        self._run.append(event="restart", step=newest or 0, reason=str(e)[:200])
        with self._signals.at_once():
          time.sleep(min(2.0 ** lost, 30.0) / 4)

  def _session(self) -> int:
    """From building the variables to the last step, with one set of servers."""
    options = self._options
    tf.random.set_seed(options.seed)
    engine, state = self._build()
    try:
      step, mistaken = int(state.step.numpy()), 0
      log = PushLog(self._run, self._reasons, options.log_every, options.max_skipped,
                    int(state.images.numpy()), int(state.dropped.numpy().sum()),
                    getattr(self._task, "describe_dropped", None))
      while step < options.steps and not self._stopping():
        target = self._boundary(step)
        try:
          for push in engine.run(target - step, self._stopping):
            log(push)
            self._progress(push.step, f"loss {push.scalars['loss/total']:.3f}")
        except failures.SERVER_LOST as e:
          mistaken += 1
          if failures.file_missing(e) or mistaken > options.max_restarts or not engine.survives(e):
            raise
        if not engine.idle:
          raise self._stopped_in_a_stall(state)
        step = int(state.step.numpy())
        if step >= target or self._stopping():
          self._save(state)
      log.flush()
    except ClusterError as e:
      _ABANDONED.append((e, engine, state))
      raise
    except tf.errors.OpError as e:
      explained = failures.of_input(e, self._task, self._run.path)
      if explained is None:
        raise
      raise explained from e
    finally:
      engine.stop()
    if self._stopping():
      raise self._signals.exit
    self._run.finish(step)
    return step

  def _stopping(self) -> bool:
    return self._signals.number is not None

  def _stopped_in_a_stall(self, state: TrainState) -> ClusterError:
    """The end after a signal while pushes are stuck: a frozen server would hold up the save too."""
    saved = committed(self._run.path)
    save = threading.Thread(target=self._save, args=(state,), name="last-save", daemon=True)
    save.start()
    save.join(_STALLED_SAVE)
    new = committed(self._run.path)
    what = f"step {new[-1]} was saved" if new != saved else "no last checkpoint could be written"
    error = ClusterError("stopped", "cluster", f"signal {self._signals.number} while pushes "
                         f"were stuck", "workers that answer", f"At the end {what}.")
    error.exit_code = self._signals.exit.code
    return error

  def _build(self):
    if self._cluster is None:
      return self._build_here()
    with self._signals.at_once():
      cluster_lib.preflight(self._cluster)
    strategy = cluster_lib.connect(self._cluster)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with placement.by_bytes(strategy, self._task.build, len(self._cluster.servers)):
      with strategy.scope():
        model = self._task.build()
    state = self._state(strategy, len(self._cluster.workers), model)
    self._start_from(state)
    options = self._options
    engine = engines.Coordinated(
        self._task, state, self._train_step(state, strategy), coordinator, self._cluster,
        options.seed, options.in_flight, options.inner_steps, options.startup_delay,
        options.liveness_timeout)
    return engine, state

  def _build_here(self):
    state = self._state(self._strategy, 1, None)
    self._start_from(state)
    step = self._train_step(state, self._strategy)
    return engines.OneProcess(self._task, state, step, self._strategy, self._options.seed), state

  def _state(self, strategy, workers, model) -> TrainState:
    return TrainState(self._task, self._options.optimizer, workers, max(1, len(self._reasons)),
                      self._options.ema_decay > 0, strategy, model)

  def _train_step(self, state, strategy) -> TrainStep:
    options = self._options
    return TrainStep(self._task, state, options.optimizer, options.schedule, strategy,
                     options.weight_decay, options.ema_decay)

  def _start_from(self, state: TrainState) -> None:
    """Resume, else initialise, else scratch; says which."""
    newest = self._run.newest()
    if newest is not None:
      state.restore(prefix(self._run.path, newest), self._notes)
      self._run.reopen()
      said = f"resumed from {prefix(self._run.path, newest)} at step {newest}"
    elif self._initialize is not None:
      said = self._initialize(state)
    else:
      said = "starting from random weights"
    prepare = getattr(self._task, "prepare", None)
    if newest is None and prepare is not None:
      said += f"\n{prepare(state.model)}"
    logging.info(said)
    print(f"jft_reps: {said}", flush=True)
    self._run.describe(self._config, self._card())  # what was refused has changed nothing
    if newest is None:
      Events(self._run.path / "train").text(0, "init", f"```\n{said}\n```")
      state.save(self._run.path, self._about(), self._notes)

  def _save(self, state: TrainState) -> None:
    """Commits a checkpoint; a full disk costs it, and three in a row or the last one the run."""
    if int(state.step.numpy()) in committed(self._run.path):
      return
    try:
      state.save(self._run.path, self._about(), self._notes)
      self._failed_saves = 0
    except StorageError as e:
      if e.slug == "checkpoint-not-finite":
        raise NumericError(e.slug, e.where, e.found, e.expected, e.fix) from e
      self._failed_saves += 1
      logging.error("%s", e)
      last = self._stopping() or int(state.step.numpy()) >= self._options.steps
      if last or self._failed_saves >= 3:
        raise
    clean_up(self._run.path, self._options.keep,
             milestones(committed(self._run.path), self._options.keep_steps))

  def _boundary(self, step: int) -> int:
    """The next step at which to stop and save."""
    every = self._options.checkpoint_every
    candidates = [(step // every + 1) * every, self._options.steps,
                  *(m for m in self._options.keep_steps if m > step)]
    return min(candidates)

  def _about(self) -> dict[str, Any]:
    return {"run": run_directory.run_id(self._config), "versions": run_directory.versions()}

  def _card(self) -> dict[str, Any]:
    where = "one process" if self._cluster is None else (
        f"{len(self._cluster.workers)} workers, {len(self._cluster.servers)} parameter servers")
    return {"cluster": where, **getattr(self._task, "card", {}), **vars(self._options)}
