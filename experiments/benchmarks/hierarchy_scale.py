"""Time to add ancestors at 18,291 classes, over decoding the same pictures, and on long chains.

  python -m experiments.benchmarks.hierarchy_scale

Prints one JSON line. `share` is the expansion of a batch of 32 over `tf.io.decode_jpeg` alone of
32 pictures of 340×340, both on one thread of `tf.data`: an upper bound of its share of the whole
input path. `chain_over_parse` is the time of a chain of 100,000 nodes, read, checked and counted,
over splitting the lines of its file.
"""

from __future__ import annotations

import json
import pathlib
import tempfile
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from jft_reps.data.hierarchy import readers
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.reading.label_expansion import LabelExpansion

CLASSES, BATCH, LABELS, SIZE = 18_291, 32, 8, 340


def _tree(rng: np.random.Generator) -> Hierarchy:
  """A DAG of about ten ancestors a class, some classes with two parents."""
  ids = [f"n{i}" for i in range(CLASSES)]
  edges = [(ids[i], ids[rng.integers(i // 4, i // 2 + 1)]) for i in range(1, CLASSES)]
  edges += [(ids[i], ids[rng.integers(i // 2)]) for i in range(50, CLASSES, 20)]
  return Hierarchy(ids, edges)


def _seconds(source: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor], steps: int) -> float:
  """Best of three, per step, less what a pipeline without work takes."""
  options = tf.data.Options()
  options.threading.private_threadpool_size = 1
  options.threading.max_intra_op_parallelism = 1
  best = []
  for mapped in (function, tf.identity):
    dataset = tf.data.Dataset.from_tensors(source).repeat(steps).map(mapped).with_options(options)
    times = []
    for _ in range(3):
      start = time.perf_counter()
      dataset.reduce(np.int64(0), lambda total, x: total + tf.size(x, tf.int64)).numpy()
      times.append(time.perf_counter() - start)
    best.append(min(times) / steps)
  return best[0] - best[1]


def _chain(nodes: int = 100_000) -> tuple[float, float]:
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "chain.csv")
    path.write_text("".join(f"n{i},n{i - 1}\n" for i in range(1, nodes)))
    start = time.perf_counter()
    readers.read(path, "edges").stats()
    read = time.perf_counter() - start
    start = time.perf_counter()
    _ = [line.split(",") for line in path.read_text().splitlines()]
    return read, time.perf_counter() - start


def main() -> None:
  rng = np.random.default_rng(0)
  tree = _tree(rng)
  row_splits, values = tree.closure()
  ids = rng.integers(0, CLASSES, [BATCH, LABELS])
  ids[rng.random(ids.shape) < 0.3] = -1
  smooth = tf.image.resize(rng.integers(0, 256, [24, 24, 3]), [SIZE, SIZE], "bicubic")
  noisy = smooth + rng.normal(0, 8, [SIZE, SIZE, 3])
  jpeg = tf.io.encode_jpeg(tf.saturate_cast(noisy, tf.uint8), quality=90)
  decode = BATCH * _seconds(jpeg, lambda x: tf.io.decode_jpeg(x, 3), 300)
  found = {"benchmark": "hierarchy_scale", "classes": CLASSES,
           "ancestors_mean": round(len(values) / CLASSES - 1, 1),
           "decode_ms": round(decode * 1e3, 2)}
  for dtype in (tf.uint8, tf.float32):
    taken = _seconds(
        tf.constant(ids), LabelExpansion(CLASSES, (row_splits, values), dtype), 2000)
    found[f"expansion_{dtype.name}_ms"] = round(taken * 1e3, 3)
    found[f"share_{dtype.name}"] = round(taken / decode, 4)
  read, parse = _chain()
  found |= {"chain_seconds": round(read, 2), "chain_over_parse": round(read / parse, 1)}
  print(json.dumps(found))


if __name__ == "__main__":
  main()
