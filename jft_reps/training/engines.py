"""How pushes are driven: by this process itself, or by a coordinator over its workers."""

from __future__ import annotations

import contextlib
import faulthandler
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import tensorflow as tf
from absl import logging

from jft_reps.errors import ClusterError
from jft_reps.task import Place, Task
from jft_reps.training.cluster import failures, liveness
from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.cluster.start import Cluster
from jft_reps.training.state import TrainState
from jft_reps.training.step import Push, TrainStep


class OneProcess:
  """Steps on this process's devices: one device or `MirroredStrategy`."""

  idle = True  # nothing is in flight between pushes

  def __init__(self, task: Task, state: TrainState, step: TrainStep,
               strategy: tf.distribute.Strategy, seed: int):
    self._step = step
    if strategy.num_replicas_in_sync > 1:
      dataset = strategy.distribute_datasets_from_function(
          lambda context: task.train_dataset(Place(seed=seed, position=state.position[0])))
    else:
      dataset = task.train_dataset(Place(seed=seed, position=state.position[0]))
    self._iterator = iter(dataset)
    self._run = tf.function(lambda: step(self._iterator), autograph=False)

  def run(self, pushes: int, stopped: Callable[[], bool] = lambda: False) -> Iterator[Push]:
    """Makes `pushes` pushes, fewer once `stopped`, and yields what each reports."""
    for _ in range(pushes):
      if stopped():
        return
      yield self._step.decode(self._run())

  def survives(self, error: BaseException) -> bool:
    """No server to lose here."""
    return False

  def stop(self) -> None:
    """Nothing to end."""


class Coordinated:
  """Closures on the workers of a parameter-server cluster, a bounded number in flight.

  Each slot is a thread that schedules one closure and waits for it, so that a slow worker holds
  up nobody else. Downpour SGD: a closure is one push, or `inner_steps` pushes in a row to
  amortise scheduling.

  Args:
    task: gives each worker its data.
    state: variables on the servers.
    step: the push.
    coordinator: of the strategy under which `state` was made.
    cluster: addresses, for messages.
    seed: of order and augmentation.
    in_flight: closures scheduled and not finished; default two per worker.
    inner_steps: pushes per closure.
    startup_delay: pushes between the opening of one slot and the next, after slim's staggering.
    liveness_timeout: seconds without any push until the run counts as stalled.
  """

  def __init__(self, task: Task, state: TrainState, step: TrainStep,
               coordinator: tf.distribute.coordinator.ClusterCoordinator, cluster: Cluster,
               seed: int, in_flight: int | None = None, inner_steps: int = 1,
               startup_delay: int = 0, liveness_timeout: float = 600.0):
    self._step, self._coordinator, self._cluster = step, coordinator, cluster
    self._limit = in_flight or 2 * len(cluster.workers)
    self._inner, self._delay, self._timeout = inner_steps, startup_delay, liveness_timeout
    self._tickets: queue.SimpleQueue = queue.SimpleQueue()
    self._results: queue.SimpleQueue = queue.SimpleQueue()
    self._threads: list[threading.Thread] = []
    self._heard = dict.fromkeys(range(len(cluster.workers)), time.monotonic())
    self._pushed = self._left = 0
    self._last = time.monotonic()
    workers = len(cluster.workers)
    # The strategy's InputContext says pipeline 0 of 1 on every worker; this tells them apart.
    index = tf.distribute.coordinator.experimental_get_current_worker_index

    @tf.function(autograph=False)
    def dataset():
      worker = tf.cast(index(), tf.int64)
      position = tf.gather(state.position, worker)
      return task.train_dataset(Place(worker, workers, seed, position))

    with coordinator.strategy.scope():
      self._iterator = iter(coordinator.create_per_worker_dataset(dataset))

    @tf.function(autograph=False)
    def push(iterator):
      worker = tf.cast(index(), tf.int32)
      # The trainer's own loop would hide an input error as the end of the data.
      return tf.stack([step(iterator, worker) for _ in range(inner_steps)])

    self._push = push

  def run(self, pushes: int, stopped: Callable[[], bool] = lambda: False) -> Iterator[Push]:
    """Makes at least `pushes` pushes and yields what each reports, in order of arrival.

    Once `stopped`, it schedules nothing more and waits a little for what is in flight; `idle`
    tells whether all of that came.

    Raises:
      ClusterError: no push arrived for `liveness_timeout` seconds; names the silent tasks.
      tf.errors.OpError: what failed on a worker or server.
    """
    closures = -(-pushes // self._inner)
    for _ in range(closures):
      self._tickets.put(True)
    self._left = closures
    self._last = time.monotonic()
    with contextlib.suppress(GeneratorExit):  # who stops listening waits for what is in flight too
      while self._left and not stopped():
        for row in self._next_result():
          push = self._step.decode(row)
          self._heard[push.worker] = self._last
          self._pushed += 1
          yield push
    self._drain()

  @property
  def idle(self) -> bool:
    """Whether nothing is in flight."""
    return self._left <= 0

  def _next_result(self) -> Iterable:
    """Waits for a closure; one row per push."""
    self._start_slots()
    try:
      result = self._results.get(timeout=1.0)
    except queue.Empty:
      self._check_alive()
      return ()
    if isinstance(result, BaseException):
      raise self._first_error(result)
    self._left -= 1
    self._last = time.monotonic()
    return result

  def _drain(self, patience: float = 20.0) -> None:
    """Schedules nothing more; waits for what is in flight, but not for what is stuck already."""
    with contextlib.suppress(queue.Empty):
      while True:
        self._tickets.get_nowait()
        self._left -= 1
    deadline = self._last + patience
    with contextlib.suppress(queue.Empty):
      while self._left > 0:
        self._results.get(timeout=max(0.0, deadline - time.monotonic()))
        self._left -= 1

  def _start_slots(self) -> None:
    wanted = self._limit
    if not self._pushed:
      wanted = 1  # the first closure traces; the others find the graph ready
    elif self._delay:
      wanted = min(wanted, 1 + self._pushed // self._delay)
    while len(self._threads) < wanted:
      thread = threading.Thread(target=self._slot, name="push", daemon=True)
      self._threads.append(thread)
      thread.start()

  def _slot(self) -> None:
    tickets, results = self._tickets, self._results
    while tickets.get():
      try:
        value = self._coordinator.schedule(self._push, args=(self._iterator,))
        results.put(value.fetch())
      except BaseException as e:  # noqa: B036 - handed to the trainer's thread
        results.put(e)
        return

  def _first_error(self, error: BaseException) -> BaseException:
    """The error behind a cancelled closure: the coordinator keeps the one that came first."""
    if isinstance(error, tf.errors.CancelledError):
      try:
        liveness.ask(self._coordinator.join, self._cluster.tasks(), lambda: self._timeout)
      except Exception as first:
        return first
    return error

  def _check_alive(self) -> None:
    now = time.monotonic()
    silent = now - self._last
    if silent < self._timeout:
      return
    faulthandler.dump_traceback(file=sys.stderr, all_threads=False)
    frozen = liveness.silent(self._cluster.tasks())
    if frozen:
      why = f"No answer from {liveness.named(frozen)}."
    else:
      worst = sorted(range(len(self._cluster.workers)), key=self._heard.__getitem__)
      tasks = [("worker", w, self._cluster.workers[w]) for w in worst]
      why = f"All tasks answer; longest without a push: {liveness.named(tasks)}."
    raise ClusterError("stalled", "cluster", f"no push for {silent:.0f} s", "progress", why)

  def survives(self, error: BaseException) -> bool:
    """Whether the servers are all there after an error that says they are not.

    A worker that dies in the middle of a transfer can look like a dead server. If so, forgets
    what was in flight, so that `run` can be called again.
    """
    if not all(cluster_lib.answers(address) for address in self._cluster.servers):
      return False
    logging.warning("a worker was lost in the middle of a push: %s",
                    failures.first_line(error)[:120])
    self.stop()
    with contextlib.suppress(Exception):
      self._coordinator.join()  # hands out what is left of the error
    self._threads, self._left = [], 0
    self._tickets, self._results = queue.SimpleQueue(), queue.SimpleQueue()
    return True

  def stop(self) -> None:
    """Ends the slots; a closure that never returns keeps its daemon thread."""
    with contextlib.suppress(queue.Empty):
      while True:
        self._tickets.get_nowait()
    for _ in self._threads:
      self._tickets.put(False)
