"""A run on a local process cluster that does something to itself half way; see test_faults."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

from jft_reps.errors import JftError
from jft_reps.training import optimizers, schedules, trainer
from jft_reps.training.cluster import local_processes
from jft_reps.training.run_directory import directory
from tests.training.tiny_task import TinyTask

# What happens to which task, at the first push from a step on; `stop` adds a SIGTERM to the chief.
_FAULTS = {
    "worker": ("worker", signal.SIGKILL, 80), "ps": ("ps", signal.SIGKILL, 80),
    "freeze": ("worker", signal.SIGSTOP, 80), "stop": ("worker", signal.SIGSTOP, 80),
    # The checkpoint of step 50 is due, and nothing is in flight.
    "freeze-ps-at-50": ("ps", signal.SIGSTOP, 50), "stop-ps-at-50": ("ps", signal.SIGSTOP, 50),
    "freeze-ps-at-70": ("ps", signal.SIGSTOP, 70)}


def main(what: str, path: str, steps: int, liveness: float = 120.0, each: float = 2) -> None:
  task = TinyTask(wait=20)
  options = trainer.TrainerOptions(
      steps=steps, optimizer=optimizers.RMSProp(), schedule=schedules.PiecewiseConstant((0.01,)),
      checkpoint_every=50, keep=1000, log_every=25, liveness_timeout=liveness)
  done = []
  with local_processes.LocalProcesses(
      int(each), int(each), log_directory=os.path.join(path, "logs")) as cluster:
    with open(os.path.join(path, "pids.json"), "w") as f:
      json.dump([cluster.pid(job, i) for job, i, _ in cluster.cluster.tasks()], f)

    def progress(step, note):
      job, number, at = _FAULTS.get(what, (None, None, 80))
      if step < at or done or what == "nothing":
        return
      done.append(step)
      if what == "chief":
        os.kill(os.getpid(), signal.SIGKILL)
      if what.startswith("stop"):  # once nothing but the frozen worker's pushes is left
        threading.Timer(2 if job == "ps" else 5, os.kill, (os.getpid(), signal.SIGTERM)).start()
      os.kill(cluster.pid(job, int(each) - 1), number)
      if number == signal.SIGSTOP:
        time.sleep(0.5)  # until all its threads stand still

    start = time.monotonic()
    run = trainer.Trainer(task, directory.RunDirectory(path), options,
                          cluster=cluster.cluster, notes=task.notes, progress=progress)
    try:
      step, error, code = run.train(), None, 0
    except JftError as e:
      step, error, code = -1, str(e), e.exit_code
    finally:
      if what.startswith(("freeze", "stop")):
        os.kill(cluster.pid(_FAULTS[what][0], int(each) - 1), signal.SIGCONT)
    print(json.dumps({"step": step, "restarts": run.restarts, "error": error, "code": code,
                      "seconds": time.monotonic() - start}), flush=True)


if __name__ == "__main__":
  main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:]))
  os._exit(0)
