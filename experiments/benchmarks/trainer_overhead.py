"""What the trainer's step costs beyond forward, backward and update.

  python -m experiments.benchmarks.trainer_overhead

ResNet-50, 224 pixels, batch 8, one device. The trainer's step has the finite check, counters,
schedule, report and summaries; the bare step is one `tf.function` with forward, backward, weight
decay and the same fused update. Both run the same model in turns; one JSON line, bar 1.03.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import flags

from jft_reps import program
from jft_reps.models import batch_norm, classifier, resnet
from jft_reps.models.variables import named_variables
from jft_reps.ops import losses
from jft_reps.task import START
from jft_reps.training import log, optimizers, schedules
from jft_reps.training import state as state_lib
from jft_reps.training import step as step_lib
from jft_reps.training.run_directory.directory import RunDirectory

FLAGS = flags.FlagValues()
flags.DEFINE_integer("depth", 50, "Of the ResNet.", flag_values=FLAGS)
flags.DEFINE_integer("size", 224, "Pixels.", flag_values=FLAGS)
flags.DEFINE_integer("batch", 8, "Pictures per step.", flag_values=FLAGS)
flags.DEFINE_integer("classes", 1000, "Classes.", flag_values=FLAGS)
flags.DEFINE_integer("rounds", 12, "Measured rounds of each.", flag_values=FLAGS)
_BAR = 1.03


class FixedBatch:
  """A task whose every batch is the same."""

  def __init__(self, depth: int, size: int, batch: int, classes: int):
    rng = np.random.default_rng(0)
    self._depth, self._classes = depth, classes
    self.batch = {
        "id": tf.constant([str(i) for i in range(batch)]),
        "image": tf.constant(rng.integers(0, 256, [batch, size, size, 3]), tf.uint8),
        "targets": tf.constant(rng.random([batch, classes]) < 0.01, tf.uint8)}

  def build(self):
    return classifier.Classifier(
        resnet.ResNet(depth=self._depth), self._classes, shards=1, prior=0.01)

  def train_dataset(self, place):
    return tf.data.Dataset.from_tensors(self.batch).repeat()

  def loss(self, model, batch):
    logits = model(batch["image"], batch_norm="train")
    loss = losses.sigmoid_cross_entropy(logits, batch["targets"])
    return loss, {"loss/classification": loss}

  def trainable(self, model):
    trained = {id(v) for v in model.trainable_variables}
    return {path: item for path, item in named_variables(model).items()
            if id(getattr(item, "parts", (item,))[0]) in trained}

  def checkpoint_items(self, model):
    return named_variables(model)


def bare_step(task: FixedBatch, state, optimizer):
  """Forward, backward, decay and update, and nothing else."""
  iterator = iter(task.train_dataset(START))
  rate = tf.constant(1e-3)

  @tf.function(autograph=False)
  def step():
    batch = next(iterator)
    with batch_norm.StatisticsTape() as statistics, tf.GradientTape() as tape:
      loss, _ = task.loss(state.model, batch)
    variables = [t.variable for t in state.trained]
    for trained, gradient in zip(state.trained, tape.gradient(loss, variables)):
      if trained.decayed:
        gradient = gradient + 1e-4 * trained.variable
      optimizer.apply(trained.variable, trained.slots, gradient, rate)
    for variable, delta in statistics.updates:
      variable.assign_add(delta)
    return loss

  return lambda: step().numpy()


def trainer_step(task: FixedBatch, state, optimizer, directory: str):
  """The trainer's own step with its log, a point of the curves every 10 steps."""
  strategy = tf.distribute.get_strategy()
  step = step_lib.TrainStep(task, state, optimizer, schedules.ExponentialDecay(), strategy)
  iterator = iter(task.train_dataset(START))
  run = tf.function(lambda: step(iterator), autograph=False)
  report = log.PushLog(RunDirectory(directory), (), 10, 10)
  return lambda: report(step.decode(run()))


def main(argv: Sequence[str]) -> int:
  program.parse(FLAGS, argv, __doc__)
  task = FixedBatch(FLAGS.depth, FLAGS.size, FLAGS.batch, FLAGS.classes)
  optimizer = optimizers.RMSProp()
  state = state_lib.TrainState(task, optimizer, 1, 1, False, tf.distribute.get_strategy())
  with tempfile.TemporaryDirectory() as directory:
    steps = {"bare": bare_step(task, state, optimizer),
             "trainer": trainer_step(task, state, optimizer, directory)}
    times = {name: [] for name in steps}
    for i in range(FLAGS.rounds + 3):
      for name in (list(steps) if i % 2 else list(steps)[::-1]):
        start = time.perf_counter()
        steps[name]()
        if i >= 3:
          times[name].append(time.perf_counter() - start)
  ratio = statistics.median(t / b for t, b in zip(times["trainer"], times["bare"]))
  print(json.dumps({
      "benchmark": "trainer_overhead", "ratio": round(ratio, 4), "bar": _BAR,
      "trainer_ms": round(1e3 * statistics.median(times["trainer"]), 1),
      "bare_ms": round(1e3 * statistics.median(times["bare"]), 1), "rounds": FLAGS.rounds}))
  return int(ratio > _BAR)


if __name__ == "__main__":
  sys.exit(program.run(main))
