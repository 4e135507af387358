"""What the pose system costs beyond its backbone: a training step, and reading keypoints off maps.

  python -m experiments.benchmarks.pose [--part=train|decoding]

train: the trainer's whole step (heatmaps, offsets and their losses at every pixel, intermediate
heatmap, finite check, update, moving average) of ResNet-101 at output stride 8 on 3 crops of
353x257, over forward and backward of its bare backbone; bar 1.15. decoding: votes and peaks of 17
keypoints of one crop over the network that gave the maps; bar 0.1. One JSON line.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence

import numpy as np
from absl import flags

from experiments.benchmarks.detection import in_turn
from jft_reps import program

FLAGS = flags.FlagValues()
flags.DEFINE_enum("part", "all", ["all", "train", "decoding"], "What to measure.",
                  flag_values=FLAGS)
flags.DEFINE_integer("depth", 101, "Of the ResNet.", flag_values=FLAGS)
flags.DEFINE_integer("batch", 3, "Crops of a step.", flag_values=FLAGS)
flags.DEFINE_integer("rounds", 3, "Measured turns of each.", flag_values=FLAGS)

_HEIGHT, _WIDTH, _POINTS = 353, 257, 17
_BARS = {"train": 1.15, "decoding": 0.1}


class FixedBatch:
  """A task whose every batch is the same."""

  def __init__(self, depth: int, batch: int):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    self._depth = depth
    places = lambda *shape: np.concatenate(
        [rng.uniform(0, [_HEIGHT, _WIDTH], (*shape, 2)), np.full((*shape, 1), 2.0)], -1)
    self.crops = tf.constant(rng.integers(0, 256, [batch, _HEIGHT, _WIDTH, 3]), tf.uint8)
    self.points = tf.constant(places(batch, _POINTS), tf.float32)
    self.others = tf.constant(places(batch, 3, _POINTS), tf.float32)

  def build(self):
    from jft_reps.models import pose, resnet

    return pose.PoseNetwork(resnet.ResNet(self._depth, output_stride=8), _POINTS)

  def loss(self, model, batch):
    from jft_reps.models import pose

    del batch
    maps = model(self.crops, training=True)
    return pose.loss(maps, self.points, self.others, model.intermediate_stride)

  def trainable(self, model):
    from jft_reps.models.variables import trainable_variables

    return trainable_variables(model)

  def checkpoint_items(self, model):
    from jft_reps.models.variables import named_variables

    return named_variables(model)


def train() -> dict[str, list[float]]:
  """The trainer's whole step against the bare forward and backward pass."""
  import tensorflow as tf

  from jft_reps.training import optimizers, schedules
  from jft_reps.training import state as state_lib
  from jft_reps.training import step as step_lib

  task = FixedBatch(FLAGS.depth, FLAGS.batch)
  strategy, optimizer = tf.distribute.get_strategy(), optimizers.Momentum()
  state = state_lib.TrainState(task, optimizer, 1, 1, True, strategy)
  step = step_lib.TrainStep(task, state, optimizer, schedules.PiecewiseConstant((1e-6,)), strategy,
                            weight_decay=0.0, ema_decay=0.9999)
  iterator = iter(tf.data.Dataset.from_tensors({"id": ["fixed"] * FLAGS.batch}).repeat())
  run = tf.function(lambda: step(iterator), autograph=False)
  backbone = state.model.backbone

  @tf.function(autograph=False)
  def bare():
    with tf.GradientTape() as tape:
      features = backbone(task.crops, batch_norm="frozen", stages=("conv5",))["conv5"]
      loss = tf.reduce_mean(features)
    return tf.add_n([tf.reduce_sum(g) for g in tape.gradient(loss, backbone.trainable_variables)])

  return in_turn({"bare": lambda: bare().numpy(), "whole": lambda: step.decode(run())},
                 FLAGS.rounds)


def decoding() -> dict[str, list[float]]:
  """Votes and peaks of one crop beside the network's maps of it."""
  import tensorflow as tf

  from jft_reps.ops import keypoints

  task = FixedBatch(FLAGS.depth, 1)
  model = task.build()
  maps = tf.function(lambda: tuple(model(task.crops)[:2]), autograph=False)
  heat, offsets = (m[0] for m in maps())
  decode = tf.function(lambda h, o: keypoints.peaks(keypoints.votes(tf.sigmoid(h), o)),
                       autograph=False)
  return in_turn({"bare": lambda: maps()[0].numpy(),
                  "whole": lambda: decode(heat, offsets)[0].numpy()}, 3 * FLAGS.rounds)


def main(argv: Sequence[str]) -> int:
  program.parse(FLAGS, argv, __doc__)
  parts, found, missed = {"train": train, "decoding": decoding}, {}, False
  for name in parts if FLAGS.part == "all" else [FLAGS.part]:
    times = parts[name]()
    ratio = statistics.median(w / b for b, w in zip(times["bare"], times["whole"]))
    missed |= ratio > _BARS[name]
    found[name] = {"ratio": round(ratio, 4), "bar": _BARS[name], "seconds": {
        k: round(statistics.median(v), 3) for k, v in times.items()}}
  print(json.dumps({"benchmark": "pose", **found, "depth": FLAGS.depth, "batch": FLAGS.batch,
                    "rounds": FLAGS.rounds}))
  return int(missed)


if __name__ == "__main__":
  sys.exit(program.run(main))
