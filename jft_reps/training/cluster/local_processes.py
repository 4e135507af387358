"""A cluster of processes on this machine, kept alive by the chief."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from typing import IO

from absl import logging

from jft_reps.training.cluster import start as cluster_lib


class LocalProcesses:
  """Workers and parameter servers as child processes; one that dies is started again.

  Args:
    workers: number of workers.
    servers: number of parameter servers.
    max_restarts: of all tasks together before the cluster counts as broken.
    log_directory: each task's output goes to `<job>-<index>.log` there; None discards it.
  """

  def __init__(self, workers: int, servers: int, max_restarts: int = 20,
               log_directory: str | os.PathLike[str] | None = None):
    self.cluster = cluster_lib.local(workers, servers)
    self._max_restarts = max_restarts
    self._log_directory = log_directory
    self._processes: dict[tuple[str, int], subprocess.Popen] = {}
    self._restarts = 0
    self._stopping = threading.Event()
    self._watcher = threading.Thread(target=self._watch, name="local-processes", daemon=True)

  def __enter__(self) -> LocalProcesses:
    for job, index, _ in self.cluster.tasks():
      self._start(job, index)
    self._watcher.start()
    return self

  def __exit__(self, *unused) -> None:
    self._stopping.set()
    self._watcher.join(timeout=10)
    for process in self._processes.values():
      process.kill()
    for process in self._processes.values():
      process.wait()

  def pid(self, job: str, index: int) -> int:
    """Process id of a task."""
    return self._processes[job, index].pid

  def _start(self, job: str, index: int) -> None:
    environment = {
        **os.environ, "TF_CONFIG": self.cluster.tf_config(job, index),
        "JFT_REPS_PARENT": str(os.getpid()),
    }
    if job == "ps":
      environment["CUDA_VISIBLE_DEVICES"] = "-1"
    with contextlib.ExitStack() as stack:
      output: int | IO[bytes] = subprocess.DEVNULL
      if self._log_directory is not None:
        os.makedirs(self._log_directory, exist_ok=True)
        output = stack.enter_context(
            open(os.path.join(self._log_directory, f"{job}-{index}.log"), "ab"))
      self._processes[job, index] = subprocess.Popen(
          [sys.executable, "-m", "jft_reps.training.cluster.serve"], env=environment,
          stdin=subprocess.DEVNULL, stdout=output, stderr=output,
          start_new_session=True)  # Ctrl-C is for the chief, which still wants to save

  def _watch(self) -> None:
    while not self._stopping.wait(0.2):
      for (job, index), process in list(self._processes.items()):
        if process.poll() is None:
          continue
        self._restarts += 1
        if self._restarts > self._max_restarts:
          logging.error("%s %d ended again (%s); the limit of %d restarts is reached",
                        job, index, process.returncode, self._max_restarts)
          self._stopping.set()
          return
        logging.warning("%s %d (process %d) ended with %s, starting it again",
                        job, index, process.pid, process.returncode)
        self._start(job, index)
