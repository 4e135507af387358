"""What Faster R-CNN costs beyond its network: a training step, inference, and the input.

  python -m experiments.benchmarks.detection [--part=train|inference|input]

ResNet-101 at 600x800, one picture. The bare network is conv1 to conv4 on the picture and conv5 on
as many 7x7 crops as the detector has, with their backward pass in training; the step beyond it has
anchors, targets, proposals, crops, losses, clipping, the finite check and the update. The input is
records of 480x640 photos to pictures of stored size with boxes, as the task reads them, against
decoding the same files alone, in CPU seconds; beside it, resizing in the input too.
Each pair runs in turn in one process; one JSON line, bars 1.25, 1.15 and 0.8.
"""

from __future__ import annotations

import functools
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from absl import flags

from experiments.benchmarks.input_pipeline import photo
from jft_reps import program

FLAGS = flags.FlagValues()
flags.DEFINE_enum("part", "all", ["all", "train", "inference", "input"], "What to measure.",
                  flag_values=FLAGS)
flags.DEFINE_integer("depth", 101, "Of the ResNet.", flag_values=FLAGS)
flags.DEFINE_integer("height", 600, "Pixels.", flag_values=FLAGS)
flags.DEFINE_integer("width", 800, "Pixels.", flag_values=FLAGS)
flags.DEFINE_integer("rounds", 3, "Measured turns of each.", flag_values=FLAGS)
flags.DEFINE_integer("pictures", 200, "Of the input, per turn.", flag_values=FLAGS)

_BARS = {"train": 1.25, "inference": 1.15, "input": 0.8}
_CLASSES = 80


def in_turn(
    ways: Mapping[str, Callable[[], None]], rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
  """Seconds of each way in `rounds` turns, after one that does not count."""
  times = {name: [] for name in ways}
  for turn in range(rounds + 1):
    for name, work in ways.items():
      start = clock()
      work()
      if turn:
        times[name].append(clock() - start)
  return times


class FixedPicture:
  """A task whose every picture is the same, with seven objects."""

  def __init__(self, depth: int, height: int, width: int):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    corners = rng.uniform(0, [height - 200, width - 200], [7, 2])
    boxes = np.concatenate([corners, corners + rng.uniform(60, 200, [7, 2])], 1)
    self._depth = depth
    self.image = tf.constant(rng.integers(0, 256, [1, height, width, 3]), tf.uint8)
    self.boxes = tf.constant(boxes, tf.float32)
    self.classes = tf.constant(rng.integers(0, _CLASSES, 7), tf.int64)

  def build(self):
    from jft_reps.models import faster_rcnn, resnet

    return faster_rcnn.FasterRCNN(resnet.ResNet(self._depth, output_stride=16), _CLASSES)

  def loss(self, model, batch):
    import tensorflow as tf

    from jft_reps.models import faster_rcnn_loss

    objects = faster_rcnn_loss.Objects(self.boxes, self.classes, tf.zeros([7], tf.bool))
    seed = tf.stack([batch["seed"], tf.constant(0, tf.int64)])
    return faster_rcnn_loss.loss(model, batch["image"], objects, seed)

  def trainable(self, model):
    from jft_reps.models.variables import trainable_variables

    return trainable_variables(model)

  def checkpoint_items(self, model):
    from jft_reps.models.variables import named_variables

    return named_variables(model)


def bare(model, image, crops: int, training: bool) -> Callable[[], None]:
  """conv1 to conv4, and conv5 on crops of noise; forward, or forward and backward."""
  import tensorflow as tf

  inside = tf.random.normal([crops, 7, 7, model.backbone.feature_info["conv4"].channels])
  variables = model.backbone.trainable_variables

  def forward():
    conv4 = model.features(image)
    conv5 = model.backbone.run_stage("conv5", inside, batch_norm="frozen", stride=1)
    return tf.reduce_mean(conv4) + tf.reduce_mean(conv5)

  @tf.function(autograph=False)
  def run():
    if not training:
      return forward()
    with tf.GradientTape() as tape:
      tape.watch(inside)  # crops have a gradient
      loss = forward()
    return tf.add_n([tf.reduce_sum(g) for g in tape.gradient(loss, [*variables, inside])])

  return lambda: run().numpy()


def train() -> dict[str, list[float]]:
  """The trainer's whole step against the bare forward and backward pass."""
  import tensorflow as tf

  from jft_reps.training import optimizers, schedules
  from jft_reps.training import state as state_lib
  from jft_reps.training import step as step_lib

  task = FixedPicture(FLAGS.depth, FLAGS.height, FLAGS.width)
  strategy = tf.distribute.get_strategy()
  optimizer = optimizers.Momentum()
  state = state_lib.TrainState(task, optimizer, 1, 1, False, strategy)
  step = step_lib.TrainStep(task, state, optimizer, schedules.PiecewiseConstant((1e-6,)), strategy,
                            weight_decay=0.0, gradient_clip=10.0)
  numbers = tf.data.Dataset.counter().map(
      lambda i: {"image": task.image, "seed": i, "id": tf.constant(["fixed"])})
  iterator = iter(numbers)
  run = tf.function(lambda: step(iterator), autograph=False)
  return in_turn({"bare": bare(state.model, task.image, 256, training=True),
                  "whole": lambda: step.decode(run())}, FLAGS.rounds)


def inference() -> dict[str, list[float]]:
  """Detection of 300 proposals against the bare forward pass."""
  import tensorflow as tf

  task = FixedPicture(FLAGS.depth, FLAGS.height, FLAGS.width)
  model = task.build()
  detect = tf.function(model.detect, autograph=False)
  return in_turn({"bare": bare(model, task.image, 300, training=False),
                  "whole": lambda: detect(task.image)["scores"].numpy()}, FLAGS.rounds)


def settled() -> float:
  """CPU seconds of this process, once what it reads ahead in the background is read."""
  quiet, last = 0, time.process_time()
  while quiet < 3:
    time.sleep(0.03)
    now = time.process_time()
    quiet, last = (quiet + 1 if now - last < 0.002 else 0), now
  return last


def pictures() -> dict[str, list[float]]:
  """Records to pictures with boxes, stored or resized, against decoding the same files."""
  import tensorflow as tf

  from jft_reps.data.reading import box_batches
  from jft_reps.data.records import label_map, schema
  from jft_reps.data.records.writing import Writer

  with tempfile.TemporaryDirectory() as directory:
    files = []
    with Writer(directory, "train", 2) as writer:
      writer.metadata.update(label_map.metadata(label_map.write(directory, ["a", "b"])))
      for i in range(FLAGS.pictures):
        buffer = io.BytesIO()
        photo(i % 32, 480, 640).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
        writer.write(f"p{i}", schema.encode(
            f"p{i}", files[-1], "jpeg", 480, 640, [0, 1],
            boxes=[(0.1, 0.2, 0.5, 0.7), (0.3, 0.3, 0.9, 0.6)], object_labels=[0, 1]))
    read = functools.partial(
        box_batches.train_batches, writer.record_set, num_classes=2, shuffle=64)
    alone = tf.data.Dataset.from_tensor_slices(files).repeat().map(
        lambda e: tf.io.decode_jpeg(e, channels=3), num_parallel_calls=4)

    def take(dataset) -> Callable[[], None]:
      iterator = iter(dataset)

      @tf.function(autograph=False)  # the trainer takes them in a graph too
      def run(count):
        more = lambda i, size: (i + 1, size + tf.size(tf.nest.flatten(next(iterator))[0]))
        return tf.while_loop(lambda i, _: i < count, more, (0, 0))

      return lambda: run(tf.constant(FLAGS.pictures))

    return in_turn({"bare": take(alone.prefetch(4)), "whole": take(read(resize=False)),
                    "resized": take(read(resize=True))}, 2 * FLAGS.rounds, settled)


def main(argv: Sequence[str]) -> int:
  program.parse(FLAGS, argv, __doc__)
  parts = {"train": train, "inference": inference, "input": pictures}
  found, missed = {}, False
  for name in parts if FLAGS.part == "all" else [FLAGS.part]:
    times = parts[name]()
    ratio = statistics.median(w / b for b, w in zip(times["bare"], times["whole"]))
    if name == "input":  # of pictures per second
      ratio = 1.0 / ratio
    missed |= ratio < _BARS[name] if name == "input" else ratio > _BARS[name]
    found[name] = {"ratio": round(ratio, 4), "bar": _BARS[name], "seconds": {
        k: round(statistics.median(v), 3) for k, v in times.items()}}
    if "resized" in times:
      found[name]["ratio_with_resizing"] = round(statistics.median(
          b / r for b, r in zip(times["bare"], times["resized"])), 4)
  print(json.dumps({"benchmark": "detection", **found, "depth": FLAGS.depth,
                    "size": [FLAGS.height, FLAGS.width], "rounds": FLAGS.rounds}))
  return int(missed)


if __name__ == "__main__":
  sys.exit(program.run(main))
