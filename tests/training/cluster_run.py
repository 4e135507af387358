"""A run on a local process cluster that does something to itself half way; see test_faults."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

from jft_reps.errors import JftError
from jft_reps.training import (
    local_processes,
    optimizers,
    run_directory,
    schedules,
    trainer,
)
from tests.training.tiny_task import TinyTask


def main(what: str, path: str, steps: int, liveness: float = 120.0) -> None:
  task = TinyTask(wait=20)
  options = trainer.Options(
      steps=steps, optimizer=optimizers.RMSProp(), schedule=schedules.PiecewiseConstant((0.01,)),
      checkpoint_every=50, keep=1000, log_every=25, liveness_timeout=liveness)
  done = []
  with local_processes.LocalProcesses(2, 2, log_directory=os.path.join(path, "logs")) as cluster:
    with open(os.path.join(path, "pids.json"), "w") as f:
      json.dump([cluster.pid(job, i) for job, i, _ in cluster.cluster.tasks()], f)

    def progress(step, note):
      if step < 80 or done or what == "nothing":
        return
      done.append(step)
      if what == "chief":
        os.kill(os.getpid(), signal.SIGKILL)
      job, number = {"worker": ("worker", signal.SIGKILL), "ps": ("ps", signal.SIGKILL),
                     "freeze": ("worker", signal.SIGSTOP),
                     "stop": ("worker", signal.SIGSTOP)}[what]
      if what == "stop":  # once nothing but the frozen worker's pushes is left
        threading.Timer(5, os.kill, (os.getpid(), signal.SIGTERM)).start()
      os.kill(cluster.pid(job, 1), number)

    start = time.monotonic()
    run = trainer.Trainer(task, run_directory.RunDirectory(path), options,
                          cluster=cluster.cluster, notes=task.notes, progress=progress)
    try:
      step, error, code = run.train(), None, 0
    except JftError as e:
      step, error, code = -1, str(e), e.exit_code
    finally:
      if what in ("freeze", "stop"):
        os.kill(cluster.pid("worker", 1), signal.SIGCONT)
    print(json.dumps({"step": step, "restarts": run.restarts, "error": error, "code": code,
                      "seconds": time.monotonic() - start}), flush=True)


if __name__ == "__main__":
  main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:]))
  os._exit(0)
