import collections
import os

import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.data import reading, records


@pytest.fixture(scope="module")
def record_set(tmp_path_factory):
  with records.Writer(tmp_path_factory.mktemp("set"), "train", 4) as writer:
    for i in range(30):
      writer.write(f"p{i}", f"p{i}".encode())
  return writer.record_set


def _stream(record_set, *arguments, **named):
  """Single records, read in chunks of 7, which divides no shard."""
  return reading.chunks(record_set, 7, *arguments, **named).unbatch()


def _read(record_set, count=None, **arguments):
  arguments = {"shuffle": 4, **arguments}
  dataset = _stream(record_set, **arguments)
  if count is not None:
    dataset = dataset.take(count)
  return [(e["serialized"], tuple(e["position"].tolist()), tuple(e["source"].tolist()))
          for e in dataset.as_numpy_iterator()]


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 5, 7, 9])
def test_each_record_exactly_once_per_epoch_over_all_workers(record_set, workers):
  scalar = tf.TensorSpec([], tf.int64)

  @tf.function(input_signature=[scalar, scalar])
  def share(worker, epoch):
    position = tf.stack([epoch, 0, 0])
    part = _stream(record_set, worker, workers, 0, position, shuffle=4, repeat=False)
    # One record more than there are: a worker's share may be empty.
    part = part.map(lambda e: e["serialized"]).concatenate(tf.data.Dataset.from_tensors(""))
    return part.batch(1000).get_single_element()

  for epoch in (0, 3):
    count = collections.Counter()
    for worker in range(workers):
      count.update(share(worker, epoch).numpy().tolist()[:-1])
    assert count == {f"p{i}".encode(): 1 for i in range(30)}


def test_source_names_shard_and_record_in_the_file(record_set):
  stored = [list(tf.data.TFRecordDataset(p).as_numpy_iterator()) for p in record_set.paths]
  for serialized, _, (shard, record) in _read(record_set, repeat=False):
    assert stored[shard][record] == serialized


def _reader(record_set, workers):
  """Reads like `_read`, with worker, seed, position and count as tensors of one traced graph."""
  scalar, triple = tf.TensorSpec([], tf.int64), tf.TensorSpec([3], tf.int64)

  @tf.function(input_signature=[scalar, scalar, triple, scalar])
  def read(worker, seed, position, count):
    dataset = _stream(record_set, worker, workers, seed, position, shuffle=4)
    return dataset.take(count).batch(1000).get_single_element()

  def rows(worker, seed, position, count):
    got = {k: v.numpy().tolist() for k, v in read(worker, seed, position, count).items()}
    return list(zip(got["serialized"], map(tuple, got["position"]), map(tuple, got["source"])))

  return rows


@pytest.mark.parametrize("worker, workers", [(0, 1), (1, 3), (4, 6)])
def test_every_prefix_resumes_with_exactly_what_follows(record_set, worker, workers):
  read = _reader(record_set, workers)
  whole = read(worker, 7, (0, 0, 0), 40)
  assert whole == _read(record_set, 40, worker=worker, workers=workers, seed=7)
  for used in range(39):
    assert read(worker, 7, whole[used][1], 39 - used) == whole[used + 1 :]


def test_order_depends_on_seed_and_epoch_and_not_on_the_global_seed(record_set):
  first = _read(record_set, repeat=False)
  tf.random.set_seed(99)
  assert _read(record_set, repeat=False) == first
  others = [_read(record_set, repeat=False, seed=1), _read(record_set, 30, position=(1, 0, 0))]
  for other in others:
    assert sorted(r[0] for r in other) == sorted(r[0] for r in first)
    assert [r[0] for r in other] != [r[0] for r in first]


@pytest.mark.parametrize("size", [1, 5, 30, 64])
def test_chunks_are_full_across_shards_and_hold_the_same_records_at_every_size(record_set, size):
  chunks = list(reading.chunks(record_set, size, shuffle=4, repeat=False).as_numpy_iterator())
  assert [len(c["serialized"]) for c in chunks[:-1]] == [size] * (len(chunks) - 1)
  rows = [(s, tuple(p.tolist()), tuple(o.tolist())) for c in chunks
          for s, p, o in zip(c["serialized"], c["position"], c["source"])]
  assert rows == _read(record_set, repeat=False)


def _own_set(tmp_path):
  with records.Writer(tmp_path, "train", 3) as writer:
    for i in range(30):
      writer.write(f"p{i}", f"p{i}".encode() * 50)
  return writer.record_set


def test_a_shard_that_vanishes_is_an_error_and_not_a_loop(tmp_path):
  record_set = _own_set(tmp_path)
  iterator = iter(_stream(record_set, shuffle=0))
  next(iterator)
  for path in record_set.paths:
    os.unlink(path)
  with pytest.raises(tf.errors.NotFoundError):
    for _ in range(100):
      next(iterator)


@pytest.mark.parametrize("bytes_left", [5, 30])
def test_a_shard_cut_after_the_start_is_an_error_even_inside_a_header(tmp_path, bytes_left):
  record_set = _own_set(tmp_path)
  path = record_set.paths[0]
  lengths = [len(r) for r in tf.data.TFRecordDataset(path).as_numpy_iterator()]
  os.truncate(path, 16 + lengths[0] + bytes_left)
  with pytest.raises((tf.errors.DataLossError, tf.errors.FailedPreconditionError)):
    _read(record_set, repeat=False)


def test_an_empty_set_is_refused(tmp_path):
  with records.Writer(tmp_path, "train", 2) as writer:
    pass
  with pytest.raises(errors.DataError, match="0 records"):
    reading.chunks(writer.record_set, 4)
