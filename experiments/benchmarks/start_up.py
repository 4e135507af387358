"""What starting costs: a run's imports over a plain `import tensorflow`, and answers without it.

  python -m experiments.benchmarks.start_up [--rounds=5]

Prints one JSON line. `imports` is the processor time of a process that imports all that a training
run does, as programs, processes of studies, workers and tests do, over that of a process with
`import tensorflow` alone; the two take turns, and each has its least. `help` and `wrong_row` are
the time on the clock until a program answers, over that of an empty Python process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

PLAIN = "import tensorflow"
RUN = ("from jft_reps import environment\n"
       "environment.set_defaults()\n"
       "from jft_reps import workflows\n"
       "import jft_reps.tasks.detect, jft_reps.tasks.pretrain\n"
       "import jft_reps.training.cluster.start, jft_reps.training.initialise\n"
       "import jft_reps.training.evaluation.monitor, jft_reps.training.trainer\n")
TRAIN = "-m", "jft_reps.apps.train"
WRONG_ROW = *TRAIN, "--workdir=none", "--config=experiments/fig3_pretraining.py:none"


def _run(*arguments: str) -> tuple[float, float]:
  """Seconds on the clock and of the processor that a Python process takes."""
  environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
  before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
  subprocess.run([sys.executable, *arguments], env=environment, check=False,
                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
  after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
  return end - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument("--rounds", type=int, default=5)
  rounds = range(parser.parse_args().rounds)
  processor = {name: [] for name in (PLAIN, RUN)}
  clock = {name: [] for name in (("-c", ""), (*TRAIN, "--help"), WRONG_ROW)}
  for _ in rounds:
    for code, seconds in processor.items():
      seconds.append(_run("-c", code)[1])
    for command, seconds in clock.items():
      seconds.append(_run(*command)[0])
  plain, run = (min(seconds) for seconds in processor.values())
  empty, answer, wrong = (min(seconds) for seconds in clock.values())
  print(json.dumps({
      "imports": round(run / plain, 3), "help": round(answer / empty, 1),
      "wrong_row": round(wrong / empty, 1), "seconds": {
          "import tensorflow, processor": round(plain, 2), "imports of a run": round(run, 2),
          "empty process": round(empty, 3), "help": round(answer, 3),
          "wrong_row": round(wrong, 3)}}))


if __name__ == "__main__":
  main()
