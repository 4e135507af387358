"""The paper's cluster in one process: 50 workers, 17 servers, the true head in 50 shards.

  python -m experiments.benchmarks.paper_topology [--steps=200]

A tiny backbone gives 2048 features; the classifier is the real 2048 × 18,291 one. At most eight
steps are in flight. Checks that the counter is the number of pushes that were made, and prints the
bytes on the fullest server over the mean, and the peak memory (bar 16 GiB), as one JSON line.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence

from absl import flags

from jft_reps import program

FLAGS = flags.FlagValues()
flags.DEFINE_integer("workers", 50, "Workers.", flag_values=FLAGS)
flags.DEFINE_integer("ps", 17, "Parameter servers.", flag_values=FLAGS)
flags.DEFINE_integer("steps", 200, "Pushes.", flag_values=FLAGS)
flags.DEFINE_integer("in_flight", 8, "Closures at a time.", flag_values=FLAGS)
flags.DEFINE_integer("classes", 18_291, "Classes.", flag_values=FLAGS)


class HeadTask:
  """Random 8×8 pictures, one convolution to 2048 features, the paper's classifier."""

  notes: dict = {}

  def __init__(self, classes: int):
    self._classes = classes

  def build(self):
    from jft_reps.models import layers, sharded_dense

    class Model(layers.Layer):
      def __init__(self, classes: int):
        super().__init__("model")
        self.backbone = layers.Conv2D(3, 2048, 3, stride=2, name="conv")
        self.head = sharded_dense.ShardedDense(2048, classes, 50, initial_bias=-6.0)

    return Model(self._classes)

  def train_dataset(self, place):
    import tensorflow as tf

    def picture(i):
      key = tf.stack([tf.cast(place.worker, tf.int64), i])
      return {"image": tf.random.stateless_uniform([1, 8, 8, 3], key, -1, 1),
              "targets": tf.one_hot([i % self._classes], self._classes)}

    return tf.data.Dataset.range(10**9).map(picture)

  def loss(self, model, batch):
    import tensorflow as tf

    from jft_reps.ops import losses
    features = tf.nn.relu(tf.reduce_mean(model.backbone(batch["image"]), [1, 2]))
    return losses.sigmoid_cross_entropy(model.head(features), batch["targets"]), {}

  def trainable(self, model):
    from jft_reps.models.variables import named_variables
    return named_variables(model)

  checkpoint_items = trainable

  def explain(self, error):
    return None


def main(argv: Sequence[str]) -> int:
  program.parse(FLAGS, argv, __doc__)
  from jft_reps.training import optimizers, schedules, trainer
  from jft_reps.training.cluster import placement
  from jft_reps.training.cluster import start as cluster
  from jft_reps.training.run_directory import checkpoints
  from jft_reps.training.run_directory.directory import RunDirectory

  task = HeadTask(FLAGS.classes)
  sizes = [v.bytes for v in placement.created_variables(task.build)]
  load = placement.bytes_per_server(sizes, placement.plan(sizes, FLAGS.ps), FLAGS.ps)
  options = trainer.TrainerOptions(
      steps=FLAGS.steps, optimizer=optimizers.RMSProp(),
      schedule=schedules.PiecewiseConstant((1e-3,)), checkpoint_every=10**9, log_every=10**9,
      in_flight=FLAGS.in_flight)
  with tempfile.TemporaryDirectory() as directory:
    program.log_tensorflow_to(os.path.join(directory, "logs", "tensorflow.log"))
    start, pushes = time.perf_counter(), []
    trainer.Trainer(task, RunDirectory(directory), options,
                    cluster=cluster.start_in_process(FLAGS.workers, FLAGS.ps),
                    progress=lambda step, note: pushes.append(step)).train()
    seconds = time.perf_counter() - start
    (step,) = checkpoints.committed(directory)[-1:]
    counted = int(checkpoints.read(f"{directory}/ckpt-{step}", ["step"])["step"])
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  print(json.dumps({
      "benchmark": "paper_topology", "workers": FLAGS.workers, "servers": FLAGS.ps,
      "steps": FLAGS.steps, "counter": counted, "pushes": len(pushes),
      "exact": counted == len(pushes),
      "peak_gib": round(peak, 2), "bar_gib": 16, "seconds": round(seconds, 1),
      "fullest_server_over_mean": round(max(load) / (sum(load) / len(load)), 4)}), flush=True)
  os._exit(int(counted != len(pushes) or peak > 16))


if __name__ == "__main__":
  sys.exit(program.run(main))
