"""Pictures per second of the input, against decoding alone and against Pillow.

  python -m experiments.benchmarks.input_pipeline [--pictures=FOLDER] [--seconds=4] [--repeats=5]

Prints one JSON line: a rate per way, ratios and their bars. Ways take turns in one process, and
a ratio is the median over the turns, so that other load on the machine hits both sides. Files of
--pictures are read as they are; they should have about 500x375 pixels, as those of ImageNet and
VOC have. Without it, photo-like pictures of that size and of about as many bytes are generated.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import shared_memory

import numpy as np
from absl import flags

FLAGS = flags.FlagValues()
flags.DEFINE_string("pictures", None, "Folder of real JPEG files.",
                    flag_values=FLAGS)
flags.DEFINE_integer("count", 384, "Pictures.", flag_values=FLAGS)
flags.DEFINE_integer("quality", 95, "Of their JPEG files.", flag_values=FLAGS)
flags.DEFINE_float("seconds", 4.0, "For each way in each turn.", flag_values=FLAGS)
flags.DEFINE_integer("repeats", 5, "Turns.", flag_values=FLAGS)
flags.DEFINE_string("hierarchy", None, "ML-Images dictionary (default: a generated tree).",
                    flag_values=FLAGS)

BATCH, CLASSES, RESIZE, CROP = 32, 18_291, 340, 299
SIZES = ((375, 500), (375, 500), (333, 500), (400, 500), (500, 375), (375, 500), (300, 600),
         (342, 525))
BARS = {"original/decode": 0.85, "original/pillow2": 1.9, "stored/plain": 2.8,
        "expansion_share": 0.02}


def photo(seed: int, height: int, width: int):
  """A Pillow image with a photo's falling spectrum: noise of every scale added up."""
  from PIL import Image

  rng = np.random.default_rng(seed)
  total = np.zeros((height, width, 3))
  for octave in range(8):
    small = rng.normal(0, 1, (3 << octave, 4 << octave, 3)) * 60 / 1.5**octave
    scaled = [np.asarray(Image.fromarray(small[..., c].astype(np.float32)).resize(
        (width, height), Image.BICUBIC)) for c in range(3)]
    total += np.stack(scaled, -1) * [1.0, 0.9, 0.8] + scaled[0][..., None] * 0.7
  return Image.fromarray((total + 120).clip(0, 255).astype(np.uint8))


def jpegs(folder: str | None, count: int, quality: int) -> list[bytes]:
  """`count` JPEG files: those of the folder in turn, or generated ones of `SIZES` in turn."""
  if folder:
    found = [p.read_bytes() for p in sorted(pathlib.Path(folder).rglob("*.jp*g"))]
    return [found[i % len(found)] for i in range(count)]
  out = []
  for i in range(count):
    buffer = io.BytesIO()
    photo(i, *SIZES[i % len(SIZES)]).save(buffer, "JPEG", quality=quality)
    out.append(buffer.getvalue())
  return out


def write_records(directory: str, pictures: Sequence[bytes], store_size: int):
  """A record set of the pictures with 1 to 3 labels each."""
  from jft_reps.data.building import encoding
  from jft_reps.data.records import schema
  from jft_reps.data.records.writing import Writer

  rng = np.random.default_rng(0)
  with Writer(directory, "train", 4) as writer:
    for i, data in enumerate(pictures):
      picture = encoding.encode(data, store_size)
      labels = rng.choice(CLASSES, rng.integers(1, 4), replace=False)
      writer.write(f"p{i}", schema.encode(
          f"p{i}", picture.data, "jpeg", picture.height, picture.width, labels))
  return writer.record_set


def closure() -> tuple[np.ndarray, np.ndarray]:
  """Ancestors of a tree of `CLASSES` in which every node has up to four children."""
  lists = []
  for node in range(CLASSES):
    line = [node]
    while line[-1]:
      line.append((line[-1] - 1) // 4)
    lines = np.asarray(line)
    lists.append(lines)
  return np.cumsum([0, *map(len, lists)]), np.concatenate(lists)


def _parsed(record_set):
  """Encoded pictures without end, and how a plain pipeline maps over them."""
  import tensorflow as tf

  from jft_reps.data.records import schema

  spec = {schema.ENCODED: tf.io.FixedLenFeature([], tf.string)}
  files = tf.data.TFRecordDataset(record_set.paths).repeat().shuffle(512)

  def over(function: Callable, size: int | None) -> Iterator:
    one = lambda r: function(tf.io.parse_single_example(r, spec)[schema.ENCODED])
    mapped = files.map(one, num_parallel_calls=tf.data.AUTOTUNE)
    return iter(mapped.batch(size).prefetch(2))

  return over


def tensorflow_ways(original, stored) -> dict[str, Iterator]:
  """Endless iterators over batches of `BATCH`, by name."""
  import tensorflow as tf

  from jft_reps.data.reading import label_batches, label_expansion
  from jft_reps.ops import images

  over, over_stored = _parsed(original), _parsed(stored)

  def plain(encoded):
    image = tf.io.decode_jpeg(encoded, channels=3)
    image = tf.image.resize(image, [RESIZE, RESIZE])
    image = tf.image.random_crop(image, [CROP, CROP, 3])
    return tf.cast(tf.round(tf.image.random_flip_left_right(image)), tf.uint8)

  def crop_stored(encoded):
    offset = tf.random.uniform([2], 0, RESIZE - CROP + 1, tf.int32)
    return images.resize_crop_mirror(encoded, offset, tf.constant(False), RESIZE, CROP)

  expand = label_expansion.LabelExpansion(CLASSES, closure(), tf.uint8)

  def whole(record_set):
    batches = label_batches.train_batches(record_set, BATCH, num_classes=CLASSES, shuffle=512)
    return iter(batches.map(lambda b: {**b, "targets": expand(b["labels"])}).prefetch(2))

  return {
      # Sizes instead of pixels, since pictures of many sizes make no batch.
      "decode": over(lambda e: tf.shape(tf.io.decode_jpeg(e, channels=3)), BATCH),
      "plain": over(plain, BATCH),
      "original": whole(original),
      "stored": whole(stored),
      "stored_crop_alone": over_stored(crop_stored, BATCH),
  }


def _pillow_process(pictures, names, tasks, done) -> None:
  """Decodes batches into shared memory: what a worker of a PyTorch loader does."""
  from PIL import Image

  blocks = [shared_memory.SharedMemory(name) for name in names]
  rng = np.random.default_rng(os.getpid())
  while (slot := tasks.get()) is not None:
    out = np.ndarray((BATCH, CROP, CROP, 3), np.uint8, blocks[slot].buf)
    targets = np.zeros((BATCH, CLASSES), np.uint8)
    for i, pick in enumerate(rng.integers(0, len(pictures), BATCH)):
      image = Image.open(io.BytesIO(pictures[pick])).convert("RGB")
      image = image.resize((RESIZE, RESIZE), Image.BILINEAR)
      y, x = rng.integers(0, RESIZE - CROP + 1, 2)
      image = image.crop((x, y, x + CROP, y + CROP))
      if rng.integers(2):
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
      out[i] = image
      targets[i, rng.integers(0, CLASSES, 8)] = 1
    done.put(slot)


class Pillow:
  """Two processes of Pillow; `next` waits for a batch."""

  def __init__(self, pictures: Sequence[bytes], processes: int = 2):
    context = multiprocessing.get_context("spawn")
    size = BATCH * CROP * CROP * 3
    self._blocks = [shared_memory.SharedMemory(create=True, size=size) for _ in range(6)]
    self._tasks, self._done = context.Queue(), context.Queue()
    names = [block.name for block in self._blocks]
    arguments = (list(pictures), names, self._tasks, self._done)
    self._processes = [context.Process(target=_pillow_process, args=arguments, daemon=True)
                       for _ in range(processes)]
    for process in self._processes:
      process.start()

  def measure(self, seconds: float) -> float:
    """Pictures per second over `seconds`; idle before and after."""
    for slot in range(len(self._blocks)):
      self._tasks.put(slot)
    self._done.get()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
      slot = self._done.get()
      self._tasks.put(slot)
      count += BATCH
    rate = count / (time.perf_counter() - start)
    for _ in range(len(self._blocks) - 1):
      self._done.get()
    return rate

  def close(self) -> None:
    for _ in self._processes:
      self._tasks.put(None)
    for process in self._processes:
      process.join(5)
    for block in self._blocks:
      block.close()
      block.unlink()


def rate(iterator: Iterator, seconds: float) -> float:
  """Pictures per second, after the batches that were waiting are gone."""
  for _ in range(4):
    next(iterator)
  start, batches = time.perf_counter(), 0
  while time.perf_counter() - start < seconds:
    next(iterator)
    batches += 1
  return batches * BATCH / (time.perf_counter() - start)


def expansion_seconds() -> float:
  """Seconds of processor time to expand the labels of one picture."""
  import tensorflow as tf

  from jft_reps.data.reading import label_expansion

  expand = tf.function(label_expansion.LabelExpansion(CLASSES, closure(), tf.uint8))
  ids = tf.constant(np.pad(np.random.default_rng(0).integers(0, CLASSES, (BATCH, 2)),
                           [(0, 0), (0, 62)], constant_values=-1))
  expand(ids)
  start = time.process_time()
  for _ in range(200):
    expand(ids)
  return (time.process_time() - start) / 200 / BATCH


def main(argv: Sequence[str]) -> None:
  FLAGS(list(argv))
  os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  pictures = jpegs(FLAGS.pictures, FLAGS.count, FLAGS.quality)
  with tempfile.TemporaryDirectory() as directory:
    original = write_records(f"{directory}/original", pictures, 0)
    stored = write_records(f"{directory}/stored", pictures, RESIZE)
    makers = tensorflow_ways(original, stored)
    pillow = Pillow(pictures)
    pillow.measure(0.5)
    rates: dict[str, list[float]] = {name: [] for name in [*makers, "pillow2"]}
    for _ in range(FLAGS.repeats):
      for name, iterator in makers.items():
        rates[name].append(rate(iterator, FLAGS.seconds))
      rates["pillow2"].append(pillow.measure(FLAGS.seconds))
    pillow.close()
    expansion = expansion_seconds()
  cores = len(os.sched_getaffinity(0))
  ratio = lambda a, b: statistics.median(x / y for x, y in zip(rates[a], rates[b]))
  found = {
      "original/decode": ratio("original", "decode"),
      "plain/decode": ratio("plain", "decode"),
      "original/pillow2": ratio("original", "pillow2"),
      "stored/plain": ratio("stored", "plain"),
      "stored_crop_alone/plain": ratio("stored_crop_alone", "plain"),
      "expansion_share": expansion * statistics.median(rates["original"]) / cores,
  }
  mean_bytes = statistics.mean(map(len, pictures))
  print(json.dumps({
      "benchmark": "input_pipeline", "pictures": len(pictures), "mean_bytes": round(mean_bytes),
      "pictures_per_second": {k: round(statistics.median(v)) for k, v in rates.items()},
      "ratios": {k: round(v, 4) for k, v in found.items()}, "bars": BARS,
  }))


if __name__ == "__main__":
  main(sys.argv)
