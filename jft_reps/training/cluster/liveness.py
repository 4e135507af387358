"""Waiting for tasks of a cluster that may be frozen.

A frozen process keeps its connections and raises nothing: whoever waits for it inside TensorFlow
waits for ever, deaf to signals. So what the chief asks is asked in a thread of its own, while this
one looks whether the tasks are still there.
"""

from __future__ import annotations

import contextlib
import math
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import TypeVar

from jft_reps.errors import ClusterError
from jft_reps.training.cluster.addresses import Cluster
from jft_reps.training.cluster.signals import StopSignals

Task = tuple[str, int, str]  # job, index, address
Value = TypeVar("Value")

# What opens an HTTP/2 connection, with empty SETTINGS (RFC 9113, section 3.4).
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_PROBE = 5.0  # seconds for a first word, which takes a millisecond
_PATIENCE = 3600.0  # seconds for a large checkpoint on slow storage
LAST_WAIT = 20.0  # seconds for a last checkpoint after a signal, of which half for silence


def responds(address: str, timeout: float = _PROBE) -> bool:
  """Whether the gRPC server at `host:port` returns a greeting.

  That it accepts a connection says nothing: the kernel does that for a frozen process too.
  """
  host, _, port = address.rpartition(":")
  try:
    with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout) as connection:
      connection.sendall(_HELLO)
      return bool(connection.recv(1))
  except OSError:
    return False


def silent(tasks: Sequence[Task], timeout: float = _PROBE) -> list[Task]:
  """Those of (job, index, address) that do not respond, asked all at once."""
  if not tasks:
    return []
  with futures.ThreadPoolExecutor(len(tasks)) as pool:
    responded = list(pool.map(lambda task: responds(task[2], timeout), tasks))
  return [task for task, yes in zip(tasks, responded) if not yes]


def named(tasks: Sequence[Task]) -> str:
  """The first five tasks, for a message: `ps 0 (host:port), …`."""
  names = [f"{job} {index} ({address})" for job, index, address in tasks[:5]]
  return ", ".join([*names, "…"] if len(tasks) > 5 else names)


def ask(talk: Callable[[], Value], tasks: Sequence[Task], silence: Callable[[], float],
        patience: float = math.inf) -> Value:
  """Calls `talk` in a thread and returns its value, unless the tasks fall silent meanwhile.

  As long as they respond, a talk may take its time: a large checkpoint does. One that is given up
  keeps its daemon thread, and what it holds.

  Args:
    talk: what waits for the tasks.
    tasks: (job, index, address) of those it needs.
    silence: seconds without a response from a task that are borne; asked again and again.
    patience: seconds after which the talk is given up though all tasks respond.

  Raises:
    ClusterError: a task was silent for too long, or patience ran out.
    BaseException: what `talk` raises.
  """
  answers: queue.SimpleQueue = queue.SimpleQueue()
  threading.Thread(target=_answer, args=(talk, answers), name="talk", daemon=True).start()
  start = time.monotonic()
  heard = dict.fromkeys(tasks, start)
  while True:
    with contextlib.suppress(queue.Empty):
      value, error = answers.get(timeout=1.0)
      if error is None:
        return value
      try:
        raise error
      finally:
        del error  # or the frame and its error would hold each other
    mute = silent(tasks)
    now = time.monotonic()
    heard |= dict.fromkeys((t for t in tasks if t not in mute), now)
    gone = [t for t in mute if now - heard[t] >= silence()]
    if gone:
      raise _stalled(f"no answer from {named(gone)} for {now - heard[gone[0]]:.0f} s")
    if now - start >= patience:
      raise _stalled(f"what {named(tasks)} were asked for gave no result for {now - start:.0f} s")


class Asking:
  """How the chief asks what only servers can tell; without a cluster it calls, and that is all.

  Args:
    cluster: whom to watch meanwhile.
    timeout: seconds for which a silent task is borne; fewer after a signal.
    signals: a talk that is given up after one ends the process with the signal's exit code.
  """

  def __init__(self, cluster: Cluster | None, timeout: float, signals: StopSignals):
    self._cluster, self._timeout, self._signals = cluster, timeout, signals

  def __call__(self, talk: Callable[[], Value], workers: bool = False,
               patience: float = _PATIENCE) -> Value:
    """See `ask`; `workers`: the talk needs them too."""
    if self._cluster is None:
      return talk()
    tasks = [t for t in self._cluster.tasks() if workers or t[0] == "ps"]
    try:
      return ask(talk, tasks, self._silence, patience)
    except ClusterError as e:
      if self._signals.number is not None:
        e.exit_code = self._signals.exit_code
      raise

  def _silence(self) -> float:
    stopping = self._signals.number is not None
    return min(self._timeout, LAST_WAIT / 2) if stopping else self._timeout


def _answer(talk: Callable[[], Value], answers: queue.SimpleQueue) -> None:
  try:
    answers.put((talk(), None))
  except BaseException as e:  # noqa: B036 - handed to who asked
    answers.put((None, e))


def _stalled(found: str) -> ClusterError:
  return ClusterError("stalled", "cluster", found, "tasks that answer",
                      "End what is frozen, then start the run again: it resumes.")
