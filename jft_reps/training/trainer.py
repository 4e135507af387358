"""The trainer: from a task and a run directory to committed checkpoints and curves."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from jft_reps.errors import ClusterError, JftError, printable
from jft_reps.task import Task
from jft_reps.training import engines
from jft_reps.training.cluster import failures, liveness, placement
from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.cluster.signals import StopSignals
from jft_reps.training.log import PushLog
from jft_reps.training.options import TrainerOptions
from jft_reps.training.run_directory import directory
from jft_reps.training.run_directory.checkpoints import committed, prefix
from jft_reps.training.run_directory.events import Events
from jft_reps.training.saving import Saver
from jft_reps.training.state import TrainState
from jft_reps.training.step import TrainStep

# Freeing a variable on a server waits for every worker, and a frozen one never answers: what a
# stalled run leaves is kept until the process ends.
_ABANDONED: list[Any] = []
Engine = engines.OneProcess | engines.Coordinated


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

  def __init__(self, task: Task, run: directory.RunDirectory, options: TrainerOptions,
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
    self._ask = liveness.Asking(cluster, options.liveness_timeout, self._signals)
    about = {"run": directory.run_id(self._config), "versions": directory.versions()}
    self._saver = Saver(run, options, about, self._notes, self._stopping)
    self.restarts = 0

  def train(self) -> int:
    """Trains to `options.steps` and returns the last step.

    A lost parameter server is survived by starting again from the last checkpoint, here, at most
    `max_restarts` times without a new one in between. SIGTERM and SIGINT write one last
    checkpoint and end the process with 143 and 130; before the first push they only end it.
    """
    self._run.open()
    try:
      self._run.go_on()
      with self._signals.caught():
        return self._train_with_restarts()
    except BaseException as e:
      self._run.stop(self._why(e))
      raise
    finally:
      self._run.close()

  def _why(self, error: BaseException) -> str:
    """Why a run ends before its last step, in one line."""
    if self._stopping():
      steps = committed(self._run.path)
      saved = f"step {steps[-1]} is saved" if steps else "nothing was saved"
      return f"signal {self._signals.number}, {saved}"
    said = str(error) if isinstance(error, JftError) else f"{type(error).__name__}: {error}"
    return printable(said.partition("\n")[0], 500)

  def _train_with_restarts(self) -> int:
    lost, newest = 0, self._run.newest()
    while True:
      try:
        return self._session()
      except (tf.errors.OpError, ConnectionError) as e:
        explained = failures.of_input(e, self._task, self._run.path)
        if explained is not None:
          raise explained from e
        if self._cluster is None or not isinstance(e, failures.SERVER_LOST):
          raise
        said = failures.first_line(e)
        steps = committed(self._run.path)
        lost = 1 if steps and steps[-1] != newest else lost + 1
        newest = steps[-1] if steps else None
        if lost > self._options.max_restarts:
          raise ClusterError("server-lost", "cluster", said[:200], "parameter servers that stay",
                             f"{lost - 1} restarts brought no new checkpoint.") from e
        self.restarts += 1
        logging.warning("a parameter server was lost (%s); starting again from step %s",
                        said[:120], newest or 0)
        self._run.append(event="restart", step=newest or 0, reason=said[:200])
        with self._signals.at_once():
          # Half a second at first, 7.5 at most: whoever starts the server again needs a moment.
          time.sleep(min(2.0 ** lost, 30.0) / 4)

  def _session(self) -> int:
    """From building the variables to the last step, with one set of servers."""
    tf.random.set_seed(self._options.seed)
    engine = state = None
    try:
      engine, state = self._build()
      step = self._push_on(engine, state)
    except ClusterError as e:
      _ABANDONED.append((e, engine, state))
      raise
    finally:
      if engine is not None:
        engine.stop()
    if self._stopping():
      raise self._signals.exit
    self._run.finish(step)
    return step

  def _push_on(self, engine: Engine, state: TrainState) -> int:
    """Pushes and saves until the last step or a signal; returns the step."""
    options, mistaken = self._options, 0
    read = lambda variable: self._ask(variable.numpy)
    step = int(read(state.step))
    log = PushLog(self._run, self._reasons, options.log_every, options.max_skipped,
                  int(read(state.images)), lambda: read(state.dropped),
                  getattr(self._task, "describe_dropped", None), self._cluster is not None)
    while step < options.steps and not self._stopping():
      target = self._saver.boundary(step)
      try:
        for push in engine.run(target - step, self._stopping):
          log(push)
          self._progress(push.step, f"loss {push.scalars['loss/total']:.3f}")
      except failures.SERVER_LOST as e:
        mistaken += 1
        if failures.file_missing(e) or mistaken > options.max_restarts or not self._ask(
            functools.partial(engine.survives, e), workers=True):
          raise
      if not engine.idle:
        raise self._stopped_in_a_stall(state)
      step = int(read(state.step))
      if step >= target or self._stopping():
        self._ask(lambda: self._saver.save(state))
    log.flush()
    if log.left_out:
      print(f"jft_reps: {log.left_out}; see {self._run.path / 'quarantine.jsonl'}", flush=True)
    return step

  def _stopping(self) -> bool:
    return self._signals.number is not None

  def _stopped_in_a_stall(self, state: TrainState) -> ClusterError:
    """The end after a signal while pushes are stuck; saves if the servers answer."""
    saved = committed(self._run.path)
    silent = [] if self._cluster is None else liveness.silent(self._cluster.tasks())
    if not any(job == "ps" for job, _, _ in silent):
      with contextlib.suppress(JftError, tf.errors.OpError):
        self._ask(lambda: self._saver.save(state), patience=liveness.LAST_WAIT)
    new = committed(self._run.path)
    what = f"step {new[-1]} was saved" if new != saved else "no last checkpoint could be written"
    found = f"signal {self._signals.number} while pushes were stuck"
    if silent:
      found += f", no answer from {liveness.named(silent)}"
    error = ClusterError("stopped", "cluster", found, "tasks that answer", f"At the end {what}.")
    error.exit_code = self._signals.exit_code
    return error

  def _build(self) -> tuple[Engine, TrainState]:
    cluster = self._cluster
    if cluster is None:
      return self._build_here()
    with self._signals.at_once():
      cluster_lib.preflight(cluster)
    strategy = self._ask(lambda: cluster_lib.connect(cluster), workers=True)
    # Loading weights and preparing a model take as long as they take.
    return self._ask(lambda: self._build_on(cluster, strategy), patience=math.inf)

  def _build_on(self, cluster: cluster_lib.Cluster,
                strategy: tf.distribute.ParameterServerStrategy) -> tuple[Engine, TrainState]:
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with placement.by_bytes(strategy, self._task.build, len(cluster.servers)):
      with strategy.scope():
        model = self._task.build()
    state = self._state(strategy, len(cluster.workers), model)
    self._start_from(state)
    options = self._options
    engine = engines.Coordinated(
        self._task, state, self._train_step(state, strategy), coordinator, cluster,
        options.seed, options.in_flight, options.inner_steps, options.startup_delay,
        options.liveness_timeout)
    return engine, state

  def _build_here(self) -> tuple[Engine, TrainState]:
    state = self._state(self._strategy, 1, None)
    self._start_from(state)
    step = self._train_step(state, self._strategy)
    return engines.OneProcess(self._task, state, step, self._strategy, self._options.seed), state

  def _state(self, strategy: tf.distribute.Strategy, workers: int, model: Any) -> TrainState:
    return TrainState(self._task, self._options.optimizer, workers, max(1, len(self._reasons)),
                      self._options.ema_decay > 0, strategy, model)

  def _train_step(self, state: TrainState, strategy: tf.distribute.Strategy) -> TrainStep:
    options = self._options
    return TrainStep(self._task, state, options.optimizer, options.schedule, strategy,
                     options.weight_decay, options.ema_decay, options.gradient_clip)

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
      state.start_averages()  # at what it left
    logging.info(said)
    print(f"jft_reps: {said}", flush=True)
    self._run.describe(self._config, self._card())  # what was refused has changed nothing
    if newest is None:
      events = Events(self._run.path / "train")
      events.text(0, "init", f"```\n{said}\n```")
      events.text(0, "config", f"```\n{json.dumps(self._config, indent=1, default=str)}\n```")
      self._saver.first(state)

  def _card(self) -> dict[str, Any]:
    where = "one process" if self._cluster is None else (
        f"{len(self._cluster.workers)} workers, {len(self._cluster.servers)} parameter servers")
    return {"cluster": where, **getattr(self._task, "card", {}), **vars(self._options)}
