"""Pictures per second of build_records over decoding alone, and its memory over ten times as many.

  python -m experiments.benchmarks.build_records [--pictures=FOLDER] [--count=6000] [--repeats=3]
  python -m experiments.benchmarks.build_records --memory [--count=1000]

Prints one JSON line. The rate is of whole builds in a process per core, start-up included; beside
it `tf.io.decode_jpeg` of the same files on all cores, read in a `tf.data` map, in turn with them.
Files of --pictures are linked under as many names as --count; without it, photo-like ones of about
500x375 pixels are generated. --memory compares the peaks of resident memory, of the chief and of
the largest of its processes, between builds of --count and of ten times --count pictures.
"""

from __future__ import annotations

import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from experiments.benchmarks import input_pipeline

FLAGS = flags.FlagValues()
flags.DEFINE_string("pictures", None, "Folder of real JPEG files.", flag_values=FLAGS)
flags.DEFINE_integer("count", 6000, "Pictures.", flag_values=FLAGS)
flags.DEFINE_integer("repeats", 3, "Turns.", flag_values=FLAGS)
flags.DEFINE_integer("processes", os.cpu_count(), "That make shards.", flag_values=FLAGS)
flags.DEFINE_integer("shards", 16, "Files.", flag_values=FLAGS)
flags.DEFINE_boolean("memory", False, "Measure memory instead.", flag_values=FLAGS)
flags.DEFINE_string("build", None, "Internal: build this folder and print the peaks.",
                    flag_values=FLAGS)

BARS = {"build/decode": 0.7, "memory": 1.05}
_DISTINCT = 300


def write_tree(folder: pathlib.Path, pictures: str | None, count: int) -> None:
  """`label/number.jpg`, hard links to `_DISTINCT` files."""
  for i, data in enumerate(input_pipeline.jpegs(pictures, min(count, _DISTINCT), quality=95)):
    (folder / f"{i % 10}").mkdir(parents=True, exist_ok=True)
    (folder / f"{i % 10}" / f"{i}.jpg").write_bytes(data)
  for i in range(_DISTINCT, count):
    first = i % _DISTINCT
    os.link(folder / f"{first % 10}" / f"{first}.jpg", folder / f"{first % 10}" / f"{i}.jpg")


def build(folder: pathlib.Path, output: pathlib.Path) -> float:
  """Pictures per second of a whole build."""
  from jft_reps.data.building import build as builder
  from jft_reps.data.sources import folder as source

  start = time.monotonic()
  summary = builder.build(lambda: source.read(folder), output, "train", FLAGS.shards,
                          processes=FLAGS.processes)
  rate = summary.pictures / (time.monotonic() - start)
  shutil.rmtree(output)
  return rate


def decode(folder: pathlib.Path) -> float:
  """Pictures per second of reading and decoding on all cores."""
  import tensorflow as tf

  paths = sorted(str(path) for path in folder.rglob("*.jpg"))
  start = time.monotonic()
  pictures = tf.data.Dataset.from_tensor_slices(paths).map(
      lambda path: tf.shape(tf.io.decode_jpeg(tf.io.read_file(path), channels=3)),
      num_parallel_calls=os.cpu_count())
  count = sum(1 for _ in pictures.batch(64))
  assert count
  return len(paths) / (time.monotonic() - start)


def peaks(folder: pathlib.Path) -> dict[str, int]:
  """Peak kilobytes of a build's chief and of the largest of its processes, in a process anew."""
  flags_ = [f"--build={folder}", f"--processes={FLAGS.processes}", f"--shards={FLAGS.shards}"]
  done = subprocess.run([sys.executable, "-m", "experiments.benchmarks.build_records", *flags_],
                        capture_output=True, text=True, check=True)
  return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
  FLAGS(sys.argv)
  with tempfile.TemporaryDirectory() as directory:
    root = pathlib.Path(directory)
    if FLAGS.build:
      build(pathlib.Path(FLAGS.build), root / "out")
      usage = lambda who: resource.getrusage(who).ru_maxrss
      print(json.dumps({"chief": usage(resource.RUSAGE_SELF),
                        "process": usage(resource.RUSAGE_CHILDREN)}))
      return
    write_tree(root / "one", FLAGS.pictures, FLAGS.count)
    if FLAGS.memory:
      write_tree(root / "ten", FLAGS.pictures, 10 * FLAGS.count)
      one, ten = peaks(root / "one"), peaks(root / "ten")
      ratios = {who: round(ten[who] / one[who], 3) for who in one}
      print(json.dumps({"kilobytes": [one, ten], "memory": max(ratios.values()), **ratios,
                        "bar": BARS["memory"]}))
      return
    turns = [(build(root / "one", root / "out"), decode(root / "one"))
             for _ in range(FLAGS.repeats)]
  median = lambda values: round(statistics.median(values), 2)
  print(json.dumps({
      "build_per_s": median([b for b, _ in turns]), "decode_per_s": median([d for _, d in turns]),
      "build/decode": median([b / d for b, d in turns]), "bar": BARS["build/decode"]}))


if __name__ == "__main__":
  main()
