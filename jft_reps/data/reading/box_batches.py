"""Pictures with boxes from a record set, one at a time: what a detector is trained and judged on.

Read → shuffle encoded records → decode, mirror and resize a chunk in parallel, leaving bad records
out → count them → single pictures. As in `label_batches`, but nothing is cut or padded.
"""

from __future__ import annotations

import os

import tensorflow as tf

from jft_reps import errors
from jft_reps.data.reading import guarded, label_batches, order, parse_boxes
from jft_reps.data.records import manifest
from jft_reps.ops import keep_aspect
from jft_reps.task import START, Place

__all__ = ["eval_batches", "train_batches"]

_plain_python = tf.autograph.experimental.do_not_convert
# Records decoded by one call, all of whose pictures are in memory at once.
_CHUNK = 8


def _parser(
    record_set: manifest.RecordSet, num_classes: int, min_side: int, max_side: int, mirror: bool,
    resize: bool,
) -> parse_boxes.BoxParser:
  if not 1 <= min_side <= max_side:
    raise errors.ConfigError("bad-picture-size", "min_side", f"{min_side}, max_side {max_side}",
                             "1 <= min_side <= max_side")
  label_batches.check_arguments(record_set, 1, num_classes)
  path = keep_aspect.KeepAspect(min_side, max_side, mirror, resize)
  return parse_boxes.BoxParser(parse_boxes.BoxPicture(path), num_classes)


def _decoded(
    records: tf.data.Dataset, parser: parse_boxes.BoxParser, seed: int | tf.Tensor
) -> tf.data.Dataset:
  parallel = max(4, os.cpu_count() or 1)
  seed = tf.cast(seed, tf.int64)
  decode = _plain_python(
      lambda chunk: parse_boxes.placed(guarded.decode_chunk(parser, chunk, seed)))
  return records.map(decode, num_parallel_calls=parallel, deterministic=True)


def _finished(
    chunks: tf.data.Dataset, limits: guarded.Limits | None, records: int
) -> tf.data.Dataset:
  """Bad records counted, the share of degenerate boxes held, one picture after the other."""
  counted = guarded.count_and_carry(chunks, limits or guarded.Limits(), records)
  pictures = parse_boxes.held_to_share(counted).rebatch(1)
  pictures = pictures.map(_plain_python(parse_boxes.one_picture))
  return label_batches.with_own_threads(pictures.prefetch(4))


def train_batches(
    record_set: manifest.RecordSet,
    *,
    num_classes: int,
    place: Place = START,
    min_side: int = keep_aspect.MIN_SIDE,
    max_side: int = keep_aspect.MAX_SIDE,
    mirror: bool = True,
    resize: bool = True,
    shuffle: int = order.SHUFFLE,
    limits: guarded.Limits | None = None,
) -> tf.data.Dataset:
  """Endless pictures for training; order and mirroring depend on (seed, epoch, worker).

  Args:
    record_set: of `manifest.load`.
    num_classes: object labels lie in [0, num_classes).
    place: whose share to read, and from where on.
    min_side: pixels that the shorter side is resized to, unless
    max_side: the longer side would pass this, which it is then resized to.
    mirror: mirror half of the pictures.
    resize: False: `image` keeps the stored size, and is resized by the model's first op
      (`keep_aspect.new_size`, `keep_aspect.resized`); all else is the same.
    shuffle: window of encoded records.
    limits: of bad records.

  Returns:
    A dataset of dicts of one picture each:
    `image` uint8 `[1, height, width, 3]`, resized and perhaps mirrored; `id` string `[1]`;
    `size` int64 `[1, 2]`, height and width of the stored picture;
    `boxes` float32 `[1, n, 4]`, pixels of the resized picture, n may be 0;
    `classes` int64, `crowd` bool, `difficult` bool, `area` float32 `[1, n]`, area in stored pixels
    (that of the box where the record names none); `dropped_boxes` int64 `[1]`, boxes left out
    because they are not finite or have no area inside of the picture;
    `position`, `dropped`, `quarantined` as in `label_batches.train_batches`.

  Raises:
    errors.DataError: the set is empty. When run, TensorFlow's errors of the reader, and
      `InvalidArgumentError` with counts beyond the limits: of bad records, and of boxes left out,
      5 % after a thousand.
  """
  parser = _parser(record_set, num_classes, min_side, max_side, mirror, resize)
  records = order.chunks(record_set, _CHUNK, place, shuffle)
  return _finished(_decoded(records, parser, place.seed), limits, record_set.records)


def eval_batches(
    record_set: manifest.RecordSet,
    *,
    num_classes: int,
    min_side: int = keep_aspect.MIN_SIDE,
    max_side: int = keep_aspect.MAX_SIDE,
    resize: bool = True,
    limits: guarded.Limits | None = None,
) -> tf.data.Dataset:
  """Every usable picture once, always in the same order, unmirrored.

  Arguments and elements as in `train_batches`. Records left out after the last picture are
  counted with it, so that the sum of `dropped` and the number of pictures is the number of
  records.
  """
  parser = _parser(record_set, num_classes, min_side, max_side, False, resize)
  records = order.chunks(record_set, _CHUNK, shuffle=0, repeat=False)
  chunks = guarded.with_tail(_decoded(records, parser, 0))
  return _finished(chunks, limits, record_set.records)
