"""How far many workers are from so many times one: the coordinator's own cost.

  python -m experiments.benchmarks.worker_scaling                 # 8 workers, 200 ms, over 1
  python -m experiments.benchmarks.worker_scaling --workers=50 --wait_ms=7000 --pushes=350 --one=0

A worker's step waits (as a GPU would compute) and then trains a tiny model through the real
trainer: cluster in this process, closures over gRPC, counters, report. One JSON line; the bars are
7.6 times for 8 workers of 200 ms, and 6.5 pushes a second for 50 workers of 7 s, the paper's
cluster (36M pushes in two months are 6.9 a second).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from absl import flags

from jft_reps import program

FLAGS = flags.FlagValues()
flags.DEFINE_integer("workers", 8, "Workers.", flag_values=FLAGS)
flags.DEFINE_integer("ps", 2, "Parameter servers.", flag_values=FLAGS)
flags.DEFINE_integer("wait_ms", 200, "What a step waits.", flag_values=FLAGS)
flags.DEFINE_integer("pushes", 400, "Measured pushes.", flag_values=FLAGS)
flags.DEFINE_boolean("one", True, "Measure one worker too and give the ratio.", flag_values=FLAGS)
flags.DEFINE_boolean("only", False, "Measure in this process and end.", flag_values=FLAGS)


class WaitingTask:
  """A dense layer whose batches take `wait_ms` to come."""

  notes: dict = {}

  def __init__(self, wait_ms: int):
    self._wait = wait_ms

  def build(self):
    from jft_reps.models import sharded_dense
    return sharded_dense.ShardedDense(8, 4, 2)

  def train_dataset(self, place):
    import tensorflow as tf
    from tensorflow.python.data.experimental.ops import testing

    dataset = tf.data.Dataset.from_tensors({"x": tf.ones([2, 8])}).repeat()
    return dataset.apply(testing.sleep(self._wait * 1000))

  def loss(self, model, batch):
    import tensorflow as tf
    return tf.reduce_mean(tf.square(model(batch["x"]))), {}

  def trainable(self, model):
    from jft_reps.models.variables import named_variables
    return named_variables(model)

  checkpoint_items = trainable

  def explain(self, error):
    return None


def measure(workers: int, servers: int, wait_ms: int, pushes: int) -> float:
  """Pushes a second once every worker has begun."""
  import tempfile

  from jft_reps.training import optimizers, schedules, trainer
  from jft_reps.training.cluster import start
  from jft_reps.training.run_directory.directory import RunDirectory

  warm_up = 3 * workers
  stamps: dict[int, float] = {}
  count = iter(range(1, 10**9))

  def progress(step, note):
    stamps[next(count)] = time.perf_counter()

  options = trainer.TrainerOptions(
      steps=warm_up + pushes, optimizer=optimizers.Momentum(),
      schedule=schedules.PiecewiseConstant((1e-3,)), checkpoint_every=10**9, log_every=10**9)
  with tempfile.TemporaryDirectory() as directory:
    trainer.Trainer(WaitingTask(wait_ms), RunDirectory(directory), options,
                    cluster=start.start_in_process(workers, servers), progress=progress).train()
  # The last round ends with workers that have nothing left to do: it is left out.
  last = warm_up + pushes - workers
  return (last - warm_up) / (stamps[last] - stamps[warm_up])


def main(argv: Sequence[str]) -> int:
  program.parse(FLAGS, argv, __doc__)
  if FLAGS.only:
    print(measure(FLAGS.workers, FLAGS.ps, FLAGS.wait_ms, FLAGS.pushes), flush=True)
    os._exit(0)
  rates = {}
  for workers, pushes in {1: max(10, FLAGS.pushes // FLAGS.workers),
                          FLAGS.workers: FLAGS.pushes}.items():
    if workers == 1 and not FLAGS.one:
      continue
    command = [sys.executable, "-m", "experiments.benchmarks.worker_scaling", "--only",
               f"--workers={workers}", f"--ps={FLAGS.ps}", f"--wait_ms={FLAGS.wait_ms}",
               f"--pushes={pushes}"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    rates[workers] = float(result.stdout.strip().splitlines()[-1])
  ideal = 1000 * FLAGS.workers / FLAGS.wait_ms
  found = {"benchmark": "worker_scaling", "workers": FLAGS.workers, "wait_ms": FLAGS.wait_ms,
           "pushes_per_second": round(rates[FLAGS.workers], 3), "linear": round(ideal, 3)}
  if FLAGS.one:
    found["ratio"] = round(rates[FLAGS.workers] / rates[1], 3)
    found["one_worker"] = round(rates[1], 3)
  print(json.dumps(found))
  return 0


if __name__ == "__main__":
  sys.exit(program.run(main))
