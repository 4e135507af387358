"""Batches of pictures and label lists from a record set: what a task feeds its model.

Read → shuffle encoded records → decode and crop a chunk in parallel, leaving bad records
out → count them → batches. Labels stay lists; ancestors are added on the batch.
"""

from __future__ import annotations

import os

import tensorflow as tf

from jft_reps import errors
from jft_reps.data.reading import guarded, order, parse_labels
from jft_reps.data.records import manifest, reasons
from jft_reps.data.records.label_map import labels_of
from jft_reps.ops import images
from jft_reps.task import START, Place

__all__ = ["eval_batches", "labels_of", "quarantine_lines", "train_batches"]

# Least and most records decoded by one call: the guard costs 0.2 ms a call, and a call is the work
# of one thread.
_CHUNK = 16, 64


def _chunk_size(batch_size: int) -> int:
  """Records decoded by one call: a batch, unless that is too small or too large for it."""
  least, most = _CHUNK
  if batch_size < least:
    return -(-least // batch_size) * batch_size
  return next(n for n in range(min(batch_size, most), 0, -1) if batch_size % n == 0 or n <= least)


def with_own_threads(dataset: tf.data.Dataset) -> tf.data.Dataset:
  """The dataset with threads of its own and in a fixed order."""
  options = tf.data.Options()
  options.deterministic = True
  # Own threads, as many as the machine that reads has cores: in-process parameter servers
  # block threads of the shared pool.
  options.threading.private_threadpool_size = 0
  options.threading.max_intra_op_parallelism = 1
  return dataset.with_options(options)


def _chunks(
    records: tf.data.Dataset, parser: guarded.Parser, seed: int | tf.Tensor
) -> tf.data.Dataset:
  # Fixed, because AUTOTUNE settles on too few on a busy machine (1,210 pictures/s where this
  # gives 1,700); the private threads bound what really runs at once.
  parallel = max(4, 2 * (os.cpu_count() or 1))
  seed = tf.cast(seed, tf.int64)
  decode = tf.autograph.experimental.do_not_convert(
      lambda chunk: guarded.decode_chunk(parser, chunk, seed)
  )
  return records.map(decode, num_parallel_calls=parallel, deterministic=True)


def check_arguments(record_set: manifest.RecordSet, batch_size: int, num_classes: int) -> None:
  """Raises `ConfigError` on sizes below 1, `DataError` on a set without records."""
  if batch_size < 1:
    raise errors.ConfigError("bad-batch-size", "batch_size", str(batch_size), "at least 1")
  if num_classes < 1:
    raise errors.ConfigError("bad-classes", "num_classes", str(num_classes), "at least 1")
  if not record_set.records:
    raise errors.DataError("no-records", record_set.directory, "0 records", "at least one")


def train_batches(
    record_set: manifest.RecordSet,
    batch_size: int,
    *,
    num_classes: int,
    picture: parse_labels.CroppedPicture | None = None,
    place: Place = START,
    max_labels: int = 64,
    shuffle: int = order.SHUFFLE,
    limits: guarded.Limits | None = None,
    keep_empty: bool = True,
    absent: bool = False,
) -> tf.data.Dataset:
  """Endless batches for training; order and augmentation depend on (seed, epoch, worker).

  Args:
    record_set: of `manifest.load`.
    batch_size: pictures in every batch.
    num_classes: label ids lie in [0, num_classes).
    picture: the picture path; by default the paper's 340 to 299 with mirror.
    place: whose share to read, and from where on.
    max_labels: k; pictures with more labels are left out as `too_many_labels`.
    shuffle: window of encoded records.
    limits: of bad records.
    keep_empty: use pictures without a label, as negatives of every class.
    absent: also read which classes were verified as absent, at most k of a picture.

  Returns:
    A dataset of dicts:
    `image` uint8 `[batch, height, width, 3]`, `id` string `[batch]`,
    `labels` int64 `[batch, k]` padded with -1, `confidence` float32 `[batch, k]` padded
    with 0 (1 where a record names none), `unknown` and, if it is read, `absent` int64
    `[batch, k]` padded with -1,
    `position` int64 `[batch, 3]`: (epoch, shard, record) from which to resume after it,
    `dropped` int64 `[batch, reasons]`: records left out since the example before,
    `quarantined` int64 `[batch, 4]`: the last of those as (reason, epoch, shard, record).

  Raises:
    errors.DataError: the set is empty. When run, TensorFlow's errors of the reader, and
      `InvalidArgumentError` with the counts by reason beyond the limits.
  """
  check_arguments(record_set, batch_size, num_classes)
  parser = parse_labels.LabelParser(
      picture or images.RandomCrop(), num_classes, max_labels, keep_empty, absent
  )
  return endless(record_set, batch_size, parser, place, shuffle, limits)


def endless(
    record_set: manifest.RecordSet, batch_size: int, parser: guarded.Parser,
    place: Place, shuffle: int, limits: guarded.Limits | None,
) -> tf.data.Dataset:
  """`train_batches` of what any parser makes of the records."""
  size = _chunk_size(batch_size)
  records = order.chunks(record_set, size, place, shuffle)
  chunks = _chunks(records, parser, place.seed)
  chunks = guarded.count_and_carry(chunks, limits or guarded.Limits(), record_set.records)
  batches = chunks.rebatch(batch_size, drop_remainder=True)
  return with_own_threads(batches.prefetch(2))


def eval_batches(
    record_set: manifest.RecordSet,
    batch_size: int,
    *,
    num_classes: int,
    picture: parse_labels.CroppedPicture | None = None,
    max_labels: int = 64,
    limits: guarded.Limits | None = None,
    keep_empty: bool = True,
) -> tf.data.Dataset:
  """Every usable picture once, always in the same order; the last batch may be smaller.

  Arguments and elements as in `train_batches`; the default picture is the centre crop.
  Records left out after the last picture are counted with it, so that the sum of `dropped`
  and the number of pictures is the number of records.
  """
  check_arguments(record_set, batch_size, num_classes)
  parser = parse_labels.LabelParser(
      picture or images.CenterCrop(), num_classes, max_labels, keep_empty
  )
  return once(record_set, batch_size, parser, _chunk_size(batch_size), limits)


def once(
    record_set: manifest.RecordSet, batch_size: int, parser: guarded.Parser, chunk: int,
    limits: guarded.Limits | None,
) -> tf.data.Dataset:
  """`eval_batches` of what any parser makes of `chunk` records at a time."""
  records = order.chunks(record_set, chunk, shuffle=0, repeat=False)
  chunks = guarded.with_tail(_chunks(records, parser, 0))
  chunks = guarded.count_and_carry(chunks, limits or guarded.Limits(), record_set.records)
  return with_own_threads(chunks.rebatch(batch_size).prefetch(2))


def quarantine_lines(record_set: manifest.RecordSet, quarantined) -> list[str]:
  """One text line per record left out, from the rows of `quarantined`, `[n, 4]`, as NumPy."""
  return [
      f"{reasons.NAMES[reason]}\t{record_set.shards[shard].file}\trecord {record}\tepoch {epoch}"
      for reason, epoch, shard, record in quarantined.tolist()
      if reason >= 0
  ]
