"""Encoded records in an order that is a function of (seed, epoch, worker) alone.

Graph ops only: under parameter servers Python functions inside a dataset run in the
chief's process. Errors of the reader pass through; nothing here swallows one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow as tf

from jft_reps import errors
from jft_reps.data.records import manifest
from jft_reps.task import START, Place

# Encoded records in the shuffle window, 50 MB of pictures of 340 x 340. The first example after a
# start or resume waits for all of them.
SHUFFLE = 2048
# tf.data mixes the seed of a shuffle with the global seed; inside its own graph we fix it.
_GRAPH_SEED = 20170710
_SHUFFLE_STREAM = 1 << 40  # beyond the epochs, whose numbers are the streams of the shards' order
# Converting library code to graph control flow takes seconds and changes nothing.
_plain_python = tf.autograph.experimental.do_not_convert


class _Shards:
  """The shards of a set that have pictures, as tensors by their ordinal."""

  def __init__(self, record_set: manifest.RecordSet, numbers: Sequence[int] | None = None):
    if numbers is None:
      numbers = [i for i, shard in enumerate(record_set.shards) if shard.pictures]
    if not numbers:
      raise errors.DataError("no-records", record_set.directory, "0 records", "at least one")
    shards = [record_set.shards[i] for i in numbers]
    self.count, self.numbers = len(numbers), tf.constant(numbers, tf.int64)
    self._paths = tf.constant([os.path.join(record_set.directory, s.file) for s in shards])
    self._use = tf.constant([s.use for s in shards], tf.int64)
    # All of a file is read to its end, so that one with more records is noticed too.
    self._take = tf.constant([-1 if s.use == s.records else s.use for s in shards], tf.int64)
    self._pictures = tf.constant([s.pictures for s in shards], tf.int64)
    index = record_set.bit_index
    self._index = None if index is None else (index.path, tf.constant(index.spans[numbers]))

  def records(self, shard: int | tf.Tensor) -> tf.data.Dataset:
    """(number in its file, serialized) of the pictures of a shard, in order."""
    found = tf.data.TFRecordDataset(self._paths[shard]).take(self._take[shard])
    # A file that was cut is an error, and no shorter epoch.
    found = found.apply(tf.data.experimental.assert_cardinality(self._use[shard])).enumerate()
    if self._index is None:
      return found
    found = tf.data.Dataset.zip((found, self._bits(*self._index, shard)))
    found = found.filter(_plain_python(lambda record, belongs: belongs))
    found = found.apply(tf.data.experimental.assert_cardinality(self._pictures[shard]))
    return found.map(_plain_python(lambda record, belongs: record))

  def _bits(self, path: str, spans: tf.Tensor, shard: int | tf.Tensor) -> tf.data.Dataset:
    """Whether a record belongs to the set, for each that is used of a shard."""
    before, length, after = tf.unstack(spans[shard])

    def unpacked(packed: tf.Tensor) -> tf.Tensor:
      octets = tf.cast(tf.io.decode_raw(packed, tf.uint8), tf.int32)[:, tf.newaxis]
      bits = tf.bitwise.right_shift(octets, tf.range(7, -1, -1)) & 1
      return tf.reshape(bits, [-1])[: self._use[shard]] > 0

    # One record between a header and a footer: no other bytes are read, and an index of another
    # size is an error.
    file = tf.data.FixedLengthRecordDataset(path, length, before, after)
    return file.map(_plain_python(unpacked)).unbatch()


def _worker_shards(
    epoch: tf.Tensor, shards: int, worker: tf.Tensor, workers: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """(shards of this worker in order, its part of each, parts) in one epoch."""
  draw = tf.random.stateless_uniform([shards], tf.stack([seed, epoch]))
  order = tf.cast(tf.argsort(draw, stable=True), tf.int64)
  first = worker % shards
  parts = (workers - 1 - first) // shards + 1
  # The part moves on with the epochs, so that no worker starves on a shard of few records.
  part = (worker // shards + epoch) % parts
  return order[first::workers], part, parts


def _shard_chunks(
    record_set: manifest.RecordSet,
    size: int,
    place: Place,
    shuffle: int,
    repeat: bool,
) -> tf.data.Dataset:
  """Elements of `chunks`, whose last of each shard may be smaller.

  Batched inside the shard, because every dataset a single record passes costs microseconds.
  """
  shards = _Shards(record_set)
  worker, workers, seed = (
      tf.cast(v, tf.int64) for v in (place.worker, place.workers, place.seed))
  start = tf.cast(place.position, tf.int64)

  def epoch_records(epoch: tf.Tensor) -> tf.data.Dataset:
    mine, part, parts = _worker_shards(epoch, shards.count, worker, workers, seed)
    resumed = tf.equal(epoch, start[0])
    ordinals = tf.data.Dataset.range(
        tf.where(resumed, start[1], 0), tf.size(mine, out_type=tf.int64)
    )

    def shard_records(ordinal: tf.Tensor) -> tf.data.Dataset:
      tf.compat.v1.get_default_graph().seed = _GRAPH_SEED
      shard = mine[ordinal]
      stream_seed = tf.stack([seed, _SHUFFLE_STREAM + epoch * shards.count + shard])
      order = tf.random.stateless_uniform([], stream_seed, 1, tf.int64.max, tf.int64)
      found = shards.records(shard).shard(parts, part)
      if shuffle > 1:
        found = found.shuffle(shuffle, seed=order, reshuffle_each_iteration=False)
      skip = tf.where(resumed & tf.equal(ordinal, start[1]), start[2], 0)

      def named(chunk: tf.Tensor, numbered: tuple[tf.Tensor, tf.Tensor]):
        index, serialized = numbered
        number = skip + chunk * size + tf.range(1, tf.size(index, out_type=tf.int64) + 1)
        same = lambda value: tf.fill(tf.shape(index), value)
        return {
            "serialized": serialized,
            "position": tf.stack([same(epoch), same(ordinal), number], 1),
            "source": tf.stack([same(shards.numbers[shard]), index], 1),
        }

      # A position counts in the shuffled order. Nothing is decoded yet, so skipping costs reading.
      return found.skip(skip).batch(size).enumerate().map(_plain_python(named))

    return ordinals.flat_map(_plain_python(shard_records))

  last = tf.constant(tf.int64.max) if repeat else start[0] + 1
  return tf.data.Dataset.range(start[0], last).flat_map(_plain_python(epoch_records))


def chunks(
    record_set: manifest.RecordSet,
    size: int,
    place: Place = START,
    shuffle: int = SHUFFLE,
    repeat: bool = True,
) -> tf.data.Dataset:
  """Reads the share of one worker in batches, each record once per epoch over all workers.

  Every epoch permutes the shards and gives each worker every `workers`-th of them;
  where workers outnumber shards, those of one shard divide its records. Inside a shard
  encoded records are shuffled in a window. A `position` (epoch, ordinal of the shard in
  this worker's epoch, ordinal of the record in its shuffled shard) is that of the next
  record, so a run that resumes from the position of the last example it used goes on
  with exactly the following one, and skips at most one shard, undecoded.

  Args:
    record_set: a checked set.
    size: records in a batch; the last of a finite dataset may be smaller.
    place: whose share to read, and from where on.
    shuffle: records in the window; 0 or 1 keeps the order of the file.
    repeat: go on with further epochs for ever, instead of ending after the first.

  Returns:
    A dataset of `serialized` (string `[size]`), `position` (int64 `[size, 3]`, of the next
    record) and `source` (int64 `[size, 2]`: index of the shard, of the record in its file).

  Raises:
    errors.DataError: the set has no records. When run, TensorFlow's errors on files
      that vanish or change, among them shards with fewer records than the manifest says.
  """
  found = _shard_chunks(record_set, size, place, shuffle, repeat)
  return found.rebatch(size)


def of_shard(record_set: manifest.RecordSet, shard: int) -> tf.data.Dataset:
  """(number in its file, serialized) of the pictures of one shard, in order; reads no other."""
  return _Shards(record_set, [shard]).records(0)


def serialized(record_set: manifest.RecordSet) -> tf.data.Dataset:
  """Every picture of a set once, in order of the hash of their ids.

  Args:
    record_set: a checked set.

  Returns:
    A dataset of scalar strings. When run, it raises as `chunks`.

  Raises:
    errors.DataError: the set has no records.
  """
  shards = _Shards(record_set)

  def of(shard: tf.Tensor) -> tf.data.Dataset:
    return shards.records(shard).map(_plain_python(lambda number, record: record))

  return tf.data.Dataset.range(shards.count).flat_map(_plain_python(of))
