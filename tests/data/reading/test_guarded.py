import collections
import re

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.data.reading import guarded, label_batches
from jft_reps.data.records import reasons, schema
from jft_reps.data.records.writing import Writer
from jft_reps.ops import images
from jft_reps.task import Place
from tests.data import picture_files as files

RANDOM, CENTRE = images.RandomCrop(20, 16), images.CenterCrop(20, 16)


def _raw(**feature):
  features = {schema.SOURCE_ID: tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"raw"]))}
  for key, value in feature.items():
    features[{"picture": schema.ENCODED, "label": schema.LABEL}[key]] = value
  return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _bytes(*values):
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


GOOD = files.encoded(1)
BAD = {
    "parse_error": [
        b"\xff\xfe\x00", b"this is text", _raw(picture=_bytes(GOOD, GOOD)),
        _raw(picture=tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))),
        _raw(picture=_bytes(GOOD), label=_bytes(b"cat"))],
    "missing_feature": [b"", _raw(label=tf.train.Feature(
        int64_list=tf.train.Int64List(value=[1])))],
    "empty_image": [files.example("e", b"")],
    "unsupported_format": [
        files.example("gif", files.encoded(1, form="GIF")), files.example("html", b"<html>"),
        files.example("bmp", files.encoded(1, form="BMP")), files.example("one", b"\xff")],
    "too_many_pixels": [
        files.example("jpeg bomb", files.jpeg_of_claimed_size(65500, 65500)),
        files.example("png bomb", files.png(60000, 60000, 8, 2, b""))],
    "too_small": [files.example("dot", files.encoded(1, 1, 1))],
    "bad_aspect": [files.example("line", files.encoded(1, 10, 400))],
    "decode_error": [
        files.example("cut", files.encoded(2)[:-200]), files.example("no end", GOOD[:-2]),
        files.example("header", GOOD[:40]),
        files.example("cut png", files.encoded(1, form="PNG")[:-60]),
        files.example("tiny png", b"\x89PNG\r\n\x1a\n")],
    "label_out_of_range": [
        files.example(str(v), labels=[1, v]) for v in (-1, 5, 2**62, 2**32 + 1)],
    "too_many_labels": [files.example("many", labels=[1] * 10_000)],
}


def _write(directory, entries, shards=3):
  with Writer(directory, "train", shards) as writer:
    for name, record in entries:
      writer.write(name, record)
  return writer.record_set


def _train(record_set, batch_size, count, **arguments):
  arguments = {"picture": RANDOM, "num_classes": 5, "max_labels": 8, "shuffle": 8, **arguments}
  batches = label_batches.train_batches(record_set, batch_size, **arguments)
  return list(batches.take(count).as_numpy_iterator())


def _evaluate(record_set, batch_size=4, **arguments):
  arguments = {"picture": CENTRE, "num_classes": 5, "max_labels": 8, **arguments}
  return list(label_batches.eval_batches(
      record_set, batch_size, **arguments).as_numpy_iterator())


def _sum(batches):
  total = sum(b["dropped"].sum(0) for b in batches)
  return {n: int(c) for n, c in zip(reasons.NAMES, total) if c}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
  """As many good records as bad ones of every kind, in one set."""
  bad = [(f"bad {reason} {i}", record) for reason, rs in BAD.items() for i, record in enumerate(rs)]
  good = [(f"good {i}", files.example(f"good {i}", labels=[i % 5, 0])) for i in range(len(bad))]
  return _write(tmp_path_factory.mktemp("mixed"), bad + good)


WANT = {reason: len(rs) for reason, rs in BAD.items()}


@pytest.fixture(scope="module")
def evaluated(mixed):
  """Batches of one picture."""
  return _evaluate(mixed, 1)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_counts_by_reason_are_exact_in_evaluation(mixed, evaluated, batch_size):
  batches = evaluated if batch_size == 1 else _evaluate(mixed, batch_size)
  ids = [i for b in batches for i in b["id"].tolist()]
  assert sorted(ids) == sorted(f"good {i}".encode() for i in range(sum(WANT.values())))
  assert _sum(batches) == WANT
  assert [len(b["id"]) for b in batches[:-1]] == [batch_size] * (len(batches) - 1)


def test_counts_by_reason_are_exact_in_training(mixed):
  good = sum(WANT.values())
  batches = _train(mixed, 1, 3 * good + 1, limits=guarded.Limits(early_after=10**9))
  first_of_epoch = [i for i, b in enumerate(batches) if b["position"][0, 0] == 2][0]
  two_epochs = batches[:first_of_epoch]
  ids = collections.Counter(b["id"][0] for b in two_epochs)
  assert set(ids.values()) == {2} and len(ids) == good
  total = _sum(batches[: first_of_epoch + 1])
  assert all(2 * n <= total[k] <= 3 * n for k, n in WANT.items())


def test_quarantine_names_the_record(mixed, evaluated):
  stored = [list(tf.data.TFRecordDataset(p).as_numpy_iterator()) for p in mixed.paths]
  reason_of = {record: reason for reason, rs in BAD.items() for record in rs}
  seen = 0
  for batch in evaluated:
    for reason, epoch, shard, record in batch["quarantined"].tolist():
      assert (reason < 0) == (batch["dropped"].sum() == 0)
      if reason >= 0:
        assert reason_of[stored[shard][record]] == reasons.NAMES[reason] and epoch == 0
        seen += 1
    lines = label_batches.quarantine_lines(mixed, batch["quarantined"])
    assert all(re.fullmatch(r"\w+\ttrain-\S+\.tfrecord\trecord \d+\tepoch 0", x) for x in lines)
  assert seen > 3


def _two_percent(tmp_path):
  cut = files.encoded(3)[:-100]
  example = lambda i: files.example(f"p{i}", cut if i % 50 == 7 else GOOD, [i % 5])
  return _write(tmp_path, [(f"p{i}", example(i)) for i in range(1000)])


def test_two_percent_bad_passes_five_and_stops_at_one(tmp_path):
  record_set = _two_percent(tmp_path)
  batches = _evaluate(record_set, 32, limits=guarded.Limits(0.05, 100))
  assert sum(len(b["id"]) for b in batches) == 980
  assert _sum(batches) == {"decode_error": 20}
  with pytest.raises(tf.errors.InvalidArgumentError, match=r"left out \d+ of \d+ \(decode_error"):
    _evaluate(record_set, 32, limits=guarded.Limits(0.01, 500))


def test_all_bad_is_an_error_and_not_an_endless_loop(tmp_path):
  few = _write(tmp_path / "few", [(f"p{i}", b"text") for i in range(3)])
  many = _write(tmp_path / "many", [(f"p{i}", b"text") for i in range(300)])
  reads = (lambda: _train(few, 4, 1), lambda: _evaluate(few), lambda: _train(many, 4, 1))
  for read in reads:
    with pytest.raises(tf.errors.InvalidArgumentError, match="parse_error"):
      read()


def _trainer(record_set, batch_size, **arguments):
  """Batches with seed, position and count as tensors of one traced graph."""
  scalar, triple = tf.TensorSpec([], tf.int64), tf.TensorSpec([3], tf.int64)

  @tf.function(input_signature=[scalar, triple, scalar])
  def read(seed, position, count):
    batches = label_batches.train_batches(
        record_set, batch_size, picture=RANDOM, num_classes=5, max_labels=8, shuffle=8,
        limits=guarded.Limits(early_after=10**9), place=Place(seed=seed, position=position))
    return batches.take(count).batch(1000).get_single_element()

  return read


@pytest.fixture(scope="module")
def trainer(mixed):
  return _trainer(mixed, 3)


def test_order_and_pictures_do_not_depend_on_how_batches_are_cut(mixed, trainer):
  threes = trainer(11, (0, 0, 0), 20)
  twenties = _train(mixed, 20, 3, limits=guarded.Limits(early_after=10**9), place=Place(seed=11))
  for key in ("id", "image", "labels", "position", "dropped", "quarantined"):
    one = threes[key].numpy()
    np.testing.assert_array_equal(
        one.reshape(-1, *one.shape[2:]), np.concatenate([b[key] for b in twenties]))


def test_resuming_is_bit_equal(trainer):
  whole = trainer(11, (0, 0, 0), 14)
  for used in range(13):
    rest = trainer(11, whole["position"][used, -1], 13 - used)
    for key, values in rest.items():
      np.testing.assert_array_equal(values, whole[key][used + 1 :], err_msg=key)


def test_truncated_pictures_are_dropped_whatever_the_crop(tmp_path):
  cut = {f"cut {i}": files.encoded(i, 20, 20)[:-90] for i in range(4)}
  entries = [(n, files.example(n, p)) for n, p in cut.items()]
  entries += [(f"p{i}", files.example(f"p{i}", files.encoded(i, 20, 20))) for i in range(12)]
  read = _trainer(_write(tmp_path, entries, 1), 4)
  for seed in range(5):
    batches = read(seed, (0, 0, 0), 4)
    ids = batches["id"].numpy().ravel().tolist()
    assert sorted(ids[:12]) == sorted(f"p{i}".encode() for i in range(12))
    dropped = tf.reduce_sum(batches["dropped"], [0, 1]).numpy()
    assert 4 <= dropped[reasons.DECODE_ERROR] == dropped.sum() <= 8


def test_labels_are_padded_lists_duplicates_stay_and_strange_ids_pass(tmp_path):
  names = ["new\nline", "\x1b[31m", "a" * 100_000, "../../etc/passwd", "\udcff"]
  record_set = _write(tmp_path, [
      ("a", files.example("a", labels=[3, 3, 1], confidences=[0.5, 0.25, 1.0], unknown=[4])),
      ("b", files.example("b", labels=[2])), ("c", files.example("c", labels=[]))]
      + [(n, files.example(n, GOOD)) for n in names], 1)
  [batch] = _evaluate(record_set, 8)
  rows = {i: n for n, i in enumerate(batch["id"].tolist())}
  a, b, c = rows[b"a"], rows[b"b"], rows[b"c"]
  assert batch["labels"][a].tolist() == [3, 3, 1] + [-1] * 5
  assert batch["confidence"][a].tolist() == [0.5, 0.25, 1.0] + [0.0] * 5
  assert batch["unknown"][a].tolist() == [4] + [-1] * 7
  assert batch["confidence"][b].tolist() == [1.0] + [0.0] * 7
  assert batch["labels"][c].tolist() == [-1] * 8
  assert set(batch["id"].tolist()) == {b"a", b"b", b"c"} | {
      n.encode("utf-8", "surrogateescape") for n in names}
  batches = _evaluate(record_set, keep_empty=False)
  assert _sum(batches) == {"empty_labels": 1}
  assert b"c" not in [i for x in batches for i in x["id"].tolist()]


def test_fewer_records_than_a_batch(tmp_path):
  record_set = _write(tmp_path, [("a", files.example("a")), ("b", files.example("b"))], 8)
  [batch] = _train(record_set, 5, 1)
  assert collections.Counter(batch["id"].tolist()).most_common(1)[0][1] == 3


def test_a_vanished_shard_stops_training(tmp_path):
  import os

  record_set = _write(tmp_path, [(f"p{i}", files.example(f"p{i}", GOOD)) for i in range(60)], 6)
  iterator = iter(label_batches.train_batches(
      record_set, 4, picture=RANDOM, num_classes=5, shuffle=0))
  next(iterator)
  for path in record_set.paths:
    os.unlink(path)
  with pytest.raises(tf.errors.NotFoundError):
    for _ in range(200):
      next(iterator)
