"""Speed of feature extraction over the bare forward pass.

  python -m experiments.benchmarks.feature_extraction [--depth=101] [--size=299] [--batch=32]

Both run in turn in one process: a batch of pictures in memory through the network, and pictures
from records through reading, decoding, the network and the cache on disk. On a CPU the input takes
its share of the same cores, hidden behind the network; starting and ending a pipeline takes about a
second, so turns are long. Prints one JSON line.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence

from absl import flags

from experiments.benchmarks.input_pipeline import photo
from jft_reps import program

FLAGS = flags.FlagValues()
flags.DEFINE_integer("depth", 101, "Of the ResNet.", flag_values=FLAGS)
flags.DEFINE_integer("size", 299, "Side of the crop.", flag_values=FLAGS)
flags.DEFINE_integer("batch", 32, "Pictures.", flag_values=FLAGS)
flags.DEFINE_integer("batches", 24, "Of each turn.", flag_values=FLAGS)
flags.DEFINE_integer("rounds", 2, "Turns.", flag_values=FLAGS)

_BAR = 0.95


def write_records(directory: str, count: int) -> None:
  """Photo-like pictures of 500x375 with one of ten labels each."""
  import io

  from jft_reps.data.records import label_map, schema
  from jft_reps.data.records.writing import Writer

  with Writer(directory, "train", 2) as writer:
    writer.metadata.update(label_map.metadata(label_map.write(directory, list("abcdefghij"))))
    for i in range(count):
      buffer = io.BytesIO()
      photo(i % 32, 375, 500).save(buffer, "JPEG", quality=90)
      writer.write(f"p{i}", schema.encode(f"p{i}", buffer.getvalue(), "jpeg", 375, 500, [i % 10]))


def main(argv: Sequence[str]) -> int:
  program.parse(FLAGS, argv, __doc__)
  import tensorflow as tf

  from jft_reps.tasks import classify
  from jft_reps.tasks.backbone import Backbone
  from jft_reps.tasks.frozen import features

  count = FLAGS.batch * FLAGS.batches
  with tempfile.TemporaryDirectory() as directory:
    write_records(directory, count)
    task = classify.create(
        directory, Backbone(depth=FLAGS.depth), eval_splits=(), eval_batch_size=FLAGS.batch,
        resize=FLAGS.size * 340 // 299, crop=FLAGS.size)
    model = task.build()
    embed = features.embedder(model)
    images = tf.zeros([FLAGS.batch, FLAGS.size, FLAGS.size, 3], tf.uint8)

    def bare() -> None:
      for _ in range(FLAGS.batches):
        embed(images).numpy()

    def extracted(turn: int) -> None:
      features.extract(task, model, "train", f"{directory}/cache{turn}",
                              embed=embed)

    embed(images)  # traces
    times = {"bare": [], "extracted": []}
    for turn in range(FLAGS.rounds):
      for name, work in (("bare", bare), ("extracted", lambda: extracted(turn))):  # noqa: B023
        start = time.perf_counter()
        work()
        times[name].append(time.perf_counter() - start)
  ratio = statistics.median(b / e for b, e in zip(times["bare"], times["extracted"]))
  print(json.dumps({
      "benchmark": "feature_extraction", "ratio": round(ratio, 4), "bar": _BAR,
      "pictures_per_second": {k: round(count / statistics.median(v), 2) for k, v in times.items()},
      "depth": FLAGS.depth, "size": FLAGS.size, "batch": FLAGS.batch, "rounds": FLAGS.rounds}))
  return int(ratio < _BAR)


if __name__ == "__main__":
  sys.exit(program.run(main))
