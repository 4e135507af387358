import collections
import dataclasses
import hashlib
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from jft_reps import errors
from jft_reps.data.reading import order
from jft_reps.data.records.writing import Writer
from jft_reps.task import Place


@pytest.fixture(scope="module")
def record_set(tmp_path_factory):
  """30 records p0 to p29 in four shards."""
  with Writer(tmp_path_factory.mktemp("set"), "train", 4) as writer:
    for i in range(30):
      writer.write(f"p{i}", f"p{i}".encode())
  return writer.record_set


def subset(whole, kind):
  """A subset made by hand, of about half of the records."""
  shards = whole.shards if "prefix" not in kind else (
      *whole.shards[:2], dataclasses.replace(whole.shards[2], use=3, pictures=3))
  found = dataclasses.replace(whole, split=kind, shards=shards)
  if "some" not in kind:
    return found
  rng = np.random.default_rng(1)
  masks = [rng.random(shard.use) < 0.6 for shard in shards]
  return _indexed(found, masks, f"index-{kind.replace(' ', '_')}.bin")


def _indexed(of, masks, file):
  """The subset of the records where the masks, one per shard, are true."""
  masks = [np.array(mask, bool) for mask in masks]
  packed = b"".join(np.packbits(mask).tobytes() for mask in masks)
  pathlib.Path(of.directory, file).write_bytes(packed)
  shards = tuple(dataclasses.replace(shard, use=len(mask), pictures=int(mask.sum()))
                 for shard, mask in zip(of.shards, masks))
  return dataclasses.replace(
      of, shards=shards, index=file, index_sha256=hashlib.sha256(packed).hexdigest())


def contents(record_set):
  """(shard, record in its file, bytes) of all that belongs to a set, in order."""
  found, at = [], 0
  packed = record_set.index and pathlib.Path(record_set.directory, record_set.index).read_bytes()
  for number, shard in enumerate(record_set.shards):
    path = os.path.join(record_set.directory, shard.file)
    stored = list(tf.data.TFRecordDataset(path).as_numpy_iterator())[: shard.use]
    for record, data in enumerate(stored):
      if not packed or packed[at + record // 8] >> (7 - record % 8) & 1:
        found.append((number, record, data))
    at += (shard.use + 7) // 8
  return found


def _stream(record_set, *arguments, **named):
  """Single records, read in chunks of 7, which divides no shard."""
  return order.chunks(record_set, 7, *arguments, **named).unbatch()


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
    part = _stream(record_set, Place(worker, workers, 0, position), shuffle=4, repeat=False)
    # One record more than there are: a worker's share may be empty.
    part = part.map(lambda e: e["serialized"]).concatenate(tf.data.Dataset.from_tensors(""))
    return part.batch(1000).get_single_element()

  for epoch in (0, 3):
    count = collections.Counter()
    for worker in range(workers):
      count.update(share(worker, epoch).numpy().tolist()[:-1])
    assert count == {data: 1 for _, _, data in contents(record_set)}


def test_source_names_shard_and_record_in_the_file(record_set):
  read = [(*source, data) for data, _, source in _read(record_set, repeat=False)]
  assert sorted(read) == contents(record_set) and len(read) == record_set.records


@pytest.mark.parametrize("kind", ["whole", "prefix", "some of each", "some of a prefix"])
def test_all_readers_get_every_record_and_raw_ones_in_the_order_of_the_files(record_set, kind):
  part = subset(record_set, kind)
  expected = contents(part)
  raw = list(order.serialized(part).as_numpy_iterator())
  assert raw == [data for _, _, data in expected]
  read = [(*source, data) for data, _, source in _read(part, repeat=False)]
  assert sorted(read) == expected
  for shard in range(len(part.shards)):
    found = [(shard, *pair) for pair in order.of_shard(part, shard).as_numpy_iterator()]
    assert found == [row for row in expected if row[0] == shard]


def _reader(record_set, workers):
  """Reads like `_read`, with worker, seed, position and count as tensors of one traced graph."""
  scalar, triple = tf.TensorSpec([], tf.int64), tf.TensorSpec([3], tf.int64)

  @tf.function(input_signature=[scalar, scalar, triple, scalar])
  def read(worker, seed, position, count):
    dataset = _stream(record_set, Place(worker, workers, seed, position), shuffle=4)
    return dataset.take(count).batch(1000).get_single_element()

  def rows(worker, seed, position, count):
    got = {k: v.numpy().tolist() for k, v in read(worker, seed, position, count).items()}
    return list(zip(got["serialized"], map(tuple, got["position"]), map(tuple, got["source"])))

  return rows


@pytest.mark.parametrize("worker, workers", [(0, 1), (1, 3), (4, 6)])
def test_every_prefix_resumes_with_exactly_what_follows(record_set, worker, workers):
  read = _reader(record_set, workers)
  whole = read(worker, 7, (0, 0, 0), 40)
  assert whole == _read(record_set, 40, place=Place(worker, workers, 7))
  for used in range(39):
    assert read(worker, 7, whole[used][1], 39 - used) == whole[used + 1 :]


def test_order_depends_on_seed_and_epoch_and_not_on_the_global_seed(record_set):
  first = _read(record_set, repeat=False)
  tf.random.set_seed(99)
  assert _read(record_set, repeat=False) == first
  others = [_read(record_set, repeat=False, place=Place(seed=1)),
            _read(record_set, record_set.records, place=Place(position=(1, 0, 0)))]
  for other in others:
    assert sorted(r[0] for r in other) == sorted(r[0] for r in first)
    assert [r[0] for r in other] != [r[0] for r in first]


@pytest.mark.parametrize("size", [1, 5, 30, 64])
def test_chunks_are_full_across_shards_and_hold_the_same_records_at_every_size(record_set, size):
  chunks = list(order.chunks(record_set, size, shuffle=4, repeat=False).as_numpy_iterator())
  assert [len(c["serialized"]) for c in chunks[:-1]] == [size] * (len(chunks) - 1)
  rows = [(s, tuple(p.tolist()), tuple(o.tolist())) for c in chunks
          for s, p, o in zip(c["serialized"], c["position"], c["source"])]
  assert rows == _read(record_set, repeat=False)


@settings(max_examples=6)
@given(st.data())
def test_any_subset_is_read_once_per_epoch_and_resumes_anywhere(record_set, data):
  masks = [data.draw(st.lists(st.booleans(), max_size=s.records)) for s in record_set.shards]
  if not any(map(any, masks)):
    masks[0] = [True]
  part = _indexed(record_set, masks, "index-drawn.bin")
  scalar, triple = tf.TensorSpec([], tf.int64), tf.TensorSpec([3], tf.int64)

  @tf.function(input_signature=[scalar, scalar, triple])
  def share(worker, workers, position):
    read = _stream(part, Place(worker, workers, 3, position), shuffle=5, repeat=False)
    rows = read.map(lambda e: (e["serialized"], e["position"]))
    end = tf.data.Dataset.from_tensors(("", tf.constant([-1, -1, -1], tf.int64)))
    return rows.concatenate(end).batch(1000).get_single_element()

  workers, epoch = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 4))
  found = []
  for worker in range(workers):
    names, positions = (t.numpy().tolist()[:-1] for t in share(worker, workers, (epoch, 0, 0)))
    found += names
    if names:
      used = data.draw(st.integers(0, len(names) - 1))
      assert share(worker, workers, positions[used])[0].numpy().tolist()[:-1] == names[used + 1 :]
  assert sorted(found) == sorted(row[2] for row in contents(part))


def _own_set(tmp_path):
  with Writer(tmp_path, "train", 3) as writer:
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


@pytest.mark.parametrize("kind", ["prefix", "some of each"])
def test_a_subset_on_a_shard_that_was_cut_is_an_error(tmp_path, kind):
  part = subset(_own_set(tmp_path), kind)
  lengths = [len(r) for r in tf.data.TFRecordDataset(part.paths[0]).as_numpy_iterator()]
  os.truncate(part.paths[0], 16 + lengths[0] + 5)
  with pytest.raises((tf.errors.DataLossError, tf.errors.FailedPreconditionError)):
    _read(part, repeat=False)
  with pytest.raises((tf.errors.DataLossError, tf.errors.FailedPreconditionError)):
    list(order.serialized(part))


@pytest.mark.parametrize("change", [
    lambda b: b[:-1], lambda b: b + b"\0", lambda b: bytes([b[0] ^ 128]) + b[1:]])
def test_an_index_that_changes_after_the_start_is_an_error(tmp_path, change):
  part = subset(_own_set(tmp_path), "some of each")
  path = pathlib.Path(part.directory, part.index)
  path.write_bytes(change(path.read_bytes()))
  with pytest.raises(tf.errors.OpError):
    _read(part, repeat=False)


def test_a_subset_reads_nothing_behind_what_it_uses(tmp_path):
  whole = _own_set(tmp_path)
  part = subset(whole, "prefix")
  lengths = [len(r) for r in tf.data.TFRecordDataset(part.paths[2]).as_numpy_iterator()]
  os.truncate(part.paths[2], sum(16 + length for length in lengths[:3]))
  expected = contents(part)
  assert len(_read(part, repeat=False)) == len(expected) == part.records
  with pytest.raises(tf.errors.OpError):
    _read(whole, repeat=False)


def test_an_empty_set_is_refused(tmp_path):
  with Writer(tmp_path, "train", 2) as writer:
    pass
  with pytest.raises(errors.DataError, match="0 records"):
    order.chunks(writer.record_set, 4)
