"""What DeepLab costs beyond its backbone: a training step, and what evaluation adds.

  python -m experiments.benchmarks.segmentation [--part=train|evaluation]

train: the trainer's whole step (four branches, loss, finite check, decay, update) of ResNet-101 at
output stride 8, batch 2 at 513x513, over forward and backward of its bare backbone; bar 1.15.
evaluation: milliseconds per 500x375 picture of 21 classes that interpolating 65x65 scores, taking
the best class and counting the confusion matrix take beside the network, over 30 pictures; bar 60.
Beside them, TensorFlow's own resize and argmax. One JSON line.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from experiments.benchmarks.detection import in_turn
from jft_reps import program

FLAGS = flags.FlagValues()
flags.DEFINE_enum("part", "all", ["all", "train", "evaluation"], "What to measure.",
                  flag_values=FLAGS)
flags.DEFINE_integer("depth", 101, "Of the ResNet.", flag_values=FLAGS)
flags.DEFINE_integer("size", 513, "Pixels of both sides.", flag_values=FLAGS)
flags.DEFINE_integer("batch", 2, "Pictures of a step.", flag_values=FLAGS)
flags.DEFINE_integer("rounds", 3, "Measured turns of each.", flag_values=FLAGS)
flags.DEFINE_integer("pictures", 30, "Of the evaluation.", flag_values=FLAGS)

_CLASSES = 21
_BARS = {"train": 1.15, "evaluation": 60.0}


class FixedBatch:
  """A task whose every batch is the same."""

  def __init__(self, depth: int, size: int, batch: int):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    self._depth = depth
    self.images = tf.constant(rng.integers(0, 256, [batch, size, size, 3]), tf.uint8)
    self.masks = tf.constant(rng.integers(0, _CLASSES, [batch, size, size]), tf.uint8)

  def build(self):
    from jft_reps.models import deeplab, resnet

    return deeplab.DeepLab(resnet.ResNet(self._depth, output_stride=8), _CLASSES)

  def loss(self, model, batch):
    from jft_reps.ops import score_maps

    del batch
    return score_maps.loss(model(self.images), self.masks, model.stride), {}

  def trainable(self, model):
    from jft_reps.models.variables import trainable_variables

    return trainable_variables(model)

  def checkpoint_items(self, model):
    from jft_reps.models.variables import named_variables

    return named_variables(model)


def train() -> dict:
  """The trainer's whole step against the bare forward and backward pass."""
  import tensorflow as tf

  from jft_reps.training import optimizers, schedules
  from jft_reps.training import state as state_lib
  from jft_reps.training import step as step_lib

  task = FixedBatch(FLAGS.depth, FLAGS.size, FLAGS.batch)
  strategy = tf.distribute.get_strategy()
  optimizer = optimizers.Momentum()
  state = state_lib.TrainState(task, optimizer, 1, 1, False, strategy)
  step = step_lib.TrainStep(task, state, optimizer, schedules.PiecewiseConstant((1e-6,)), strategy,
                            weight_decay=5e-4)
  iterator = iter(tf.data.Dataset.from_tensors({"id": ["fixed"] * FLAGS.batch}).repeat())
  run = tf.function(lambda: step(iterator), autograph=False)
  backbone = state.model.backbone

  @tf.function(autograph=False)
  def bare():
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(backbone(task.images, batch_norm="frozen", stages=("conv5",))["conv5"])
    return tf.add_n([tf.reduce_sum(g) for g in tape.gradient(
        loss, backbone.trainable_variables)])

  times = in_turn({"bare": lambda: bare().numpy(), "whole": lambda: step.decode(run())},
                  FLAGS.rounds)
  ratio = statistics.median(w / b for b, w in zip(times["bare"], times["whole"]))
  return {"ratio": round(ratio, 4),
          "seconds": {k: round(statistics.median(v), 3) for k, v in times.items()}}


def evaluation() -> dict:
  """Milliseconds per picture beside the network."""
  import tensorflow as tf

  from jft_reps.metrics.mean_iou import MeanIoU
  from jft_reps.ops import score_maps

  rng = np.random.default_rng(0)
  scores = tf.constant(rng.normal(size=[65, 65, _CLASSES]), tf.float32)
  truth = rng.integers(0, _CLASSES, [375, 500]).astype(np.uint8)
  size, network = tf.constant([375, 500]), tf.constant([514, 514])
  ours = tf.function(lambda s: score_maps.best_classes(s, 8, network, size), autograph=False)
  plain = tf.function(lambda s: tf.cast(tf.argmax(tf.image.resize(s, size), -1), tf.uint8),
                      autograph=False)
  found = {}
  for name, predict in (("whole", ours), ("tf.image.resize", plain)):
    metric = MeanIoU([str(i) for i in range(_CLASSES)])
    metric.update("warm-up", predict(scores).numpy(), truth)
    start = time.perf_counter()
    for i in range(FLAGS.pictures):
      metric.update(str(i), predict(scores).numpy(), truth)
    metric.result()
    found[name] = round(1000 * (time.perf_counter() - start) / FLAGS.pictures, 2)
  return {"milliseconds": found}


def main(argv: Sequence[str]) -> int:
  program.parse(FLAGS, argv, __doc__)
  parts = {"train": train, "evaluation": evaluation}
  found = {}
  for name in parts if FLAGS.part == "all" else [FLAGS.part]:
    found[name] = {**parts[name](), "bar": _BARS[name]}
  print(json.dumps({"benchmark": "segmentation", **found, "depth": FLAGS.depth,
                    "size": FLAGS.size, "batch": FLAGS.batch, "rounds": FLAGS.rounds}))
  missed = found.get("train", {}).get("ratio", 0.0) > _BARS["train"]
  spent = found.get("evaluation", {}).get("milliseconds", {}).get("whole", 0.0)
  return int(missed or spent > _BARS["evaluation"])


if __name__ == "__main__":
  sys.exit(program.run(main))
