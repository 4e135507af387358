"""Subsets are the first pictures by hash that meet the conditions, counted in plain Python."""

from __future__ import annotations

import builtins
import collections
import dataclasses
import json
import os
import pathlib
import shutil
import tempfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from jft_reps.collection.subsets import choice as picture_choice
from jft_reps.collection.subsets import subsets
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.reading import order as reading
from jft_reps.data.reading import target_counts
from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.data.records import framing, label_map, manifest, schema
from jft_reps.data.records import writing as records
from jft_reps.errors import ConfigError, DataError

LABELS = ("animal", "dog", "poodle", "cat", "car")
TREE = Hierarchy(LABELS, [("dog", "animal"), ("poodle", "dog"), ("cat", "animal")])


def write(directory, pictures, shards, split="train"):
  """A set of {id: labels}."""
  label_map.write(directory, LABELS)
  with records.Writer(directory, split, shards, label_map.metadata(label_map.FILE)) as writer:
    for name, labels in pictures.items():
      writer.write(name, schema.encode(name, b"\xff\xd8\xff", "jpeg", 1, 1, labels))
  return writer.record_set


def by_hash(pictures):
  return sorted(pictures, key=lambda name: (records.unit_hash(name), name.encode()))


def ids(record_set):
  """Ids in the order in which raw readers get them."""
  return [_id(data) for data in reading.serialized(record_set).as_numpy_iterator()]


def _id(data):
  example = tf.train.Example.FromString(data)
  return example.features.feature[schema.SOURCE_ID].bytes_list.value[0].decode()


def ids_by_manifest(record_set):
  """The same from the files' framing and the index's bits, in plain Python."""
  packed = b"" if record_set.index is None else (
      pathlib.Path(record_set.directory, record_set.index).read_bytes())
  found = []
  for shard in record_set.shards:
    path = pathlib.Path(record_set.directory, shard.file)
    data = path.read_bytes()
    names = [_id(data[at + 12 : at + 12 + size]) for at, size in framing.walk(path)][: shard.use]
    bits = [1] * shard.use
    if packed:
      octets, packed = packed[: (shard.use + 7) // 8], packed[(shard.use + 7) // 8 :]
      bits = [int(bit) for octet in octets for bit in f"{octet:08b}"]
    found += [name for name, bit in zip(names, bits) if bit]
  assert not packed
  return found


def choice(record_set, hierarchy=None, **values):
  return picture_choice.Choice(
      picture_choice.vocabulary(record_set, hierarchy), hierarchy, **values)


def make(record_set, sizes, overwrite=False, **values):
  return subsets.make(record_set.directory, record_set.split, sizes, choice(record_set, **values),
                      overwrite)


@pytest.fixture(scope="module")
def pictures():
  rng = np.random.default_rng(5)
  return {f"p{i}": sorted(set(rng.integers(0, 5, rng.integers(0, 3)).tolist()))
          for i in range(240)}


@pytest.fixture(scope="module")
def full(tmp_path_factory, pictures):
  return write(tmp_path_factory.mktemp("full"), pictures, 4)


names = st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5),
                min_size=1, max_size=40)


@settings(max_examples=15)
@given(names, st.integers(1, 9), st.integers(1, 3), st.data())
def test_sizes_are_nested_prefixes_by_hash_whatever_the_number_of_shards(
    found, shards, others, data):
  order = by_hash(found)
  sizes = sorted(data.draw(st.sets(st.integers(1, len(order)), min_size=1, max_size=4)))
  listed = {name: n for name, n in ((f"s{n}", n) for n in sizes)}
  left_out = data.draw(st.sets(st.sampled_from(order), max_size=len(order) - 1))
  left = [name for name in order if name not in left_out]
  folders = [tempfile.mkdtemp() for _ in range(2)]
  try:
    for folder, count in zip(folders, (shards, others)):
      record_set = write(folder, {name: [0] for name in found}, count)
      made = make(record_set, listed, counts=False)
      for subset, size in zip(made, sizes):
        assert ids_by_manifest(subset) == order[:size] and subset.records == size
        assert manifest.load(folder, subset.split, full=True) == subset and subset.index is None
        limit = subset.metadata["subset"]["below"]
        assert {n for n in found if records.unit_hash(n) < limit} == set(order[:size])
      clean = record_set
      if left_out:
        (clean,) = make(record_set, {"clean": None}, leave_out_ids={n.encode() for n in left_out})
      some = data.draw(st.integers(1, len(left)))
      (part,) = make(clean, {"part": some}, counts=False)
      assert ids_by_manifest(clean) == left and ids_by_manifest(part) == left[:some]
      assert manifest.load(folder, "part", full=True) == part
  finally:
    for folder in folders:
      shutil.rmtree(folder)


@pytest.mark.parametrize("hierarchy", [None, TREE])
@pytest.mark.parametrize("classes", [("dog",), ("poodle", "car"), ("animal",)])
def test_classes_are_those_listed_and_below_them_and_counts_are_set_counts(
    full, pictures, hierarchy, classes):
  expand = (lambda c: hierarchy.expand(c)) if hierarchy else (lambda c: tuple(c))
  carried = {name: set(expand([LABELS[c] for c in labels])) for name, labels in pictures.items()}
  kept = [name for name in by_hash(pictures) if carried[name] & set(classes)]
  sizes = {"few": 7, "more": len(kept) - 3, "all": None}
  made = make(full, sizes, hierarchy=hierarchy, classes=classes, overwrite=True)
  for subset, size in zip(made, (7, len(kept) - 3, len(kept))):
    assert ids(manifest.load(full.directory, subset.split, full=True)) == kept[:size]
    note = subset.metadata["subset"]
    counts = json.loads(open(os.path.join(full.directory, note["counts"])).read())
    expected = collections.Counter(c for name in kept[:size] for c in carried[name])
    assert counts["counts"] == {label: expected[label] for label in LABELS}
    assert list(counts["counts"]) == list(LABELS)
    assert counts["pictures"] == note["pictures"] == size
    below = LABELS if hierarchy is None else [x for x in LABELS if set(expand([x])) & set(classes)]
    assert note["classes"] == (len(classes) if hierarchy is None else len(below))


def test_conditions_meet_and_a_subset_of_a_subset_is_the_subset_of_both(full, pictures):
  order = by_hash(pictures)
  keep, leave = set(order[::2]), set(order[::5])
  kept = [n for n in order if n in keep - leave and pictures[n]]
  (both,) = make(full, {"both": 31}, classes=LABELS, keep_ids={n.encode() for n in keep},
                 leave_out_ids={n.encode() for n in leave}, overwrite=True)
  assert ids(both) == kept[:31]
  (first,) = make(full, {"first": None}, keep_ids={n.encode() for n in keep}, overwrite=True)
  (second,) = make(first, {"second": None}, leave_out_ids={n.encode() for n in leave},
                   overwrite=True)
  (third,) = make(second, {"third": 31}, classes=LABELS, overwrite=True)
  assert ids(third) == kept[:31]
  assert both.shards == third.shards and both.index_sha256 == third.index_sha256
  assert third.metadata["subset"]["of"] == "second" and third.metadata["subset"]["base"] == "train"
  assert second.metadata["subset"]["left_out"] == len(keep & leave)
  (prefix,) = make(third, {"prefix": 31}, counts=False, overwrite=True)
  assert ids(prefix) == kept[:31] and "counts" not in prefix.metadata["subset"]


def test_labels_are_counted_by_the_classes_own_counter_too(full):
  (subset,) = make(full, {"counted": 100}, hierarchy=TREE, overwrite=True)
  counts, seen = target_counts.class_counts(subset, LabelExpansion(5, TREE.closure()), 1000)
  with open(os.path.join(full.directory, "counts-counted.json")) as file:
    assert list(json.load(file)["counts"].values()) == counts.tolist() and seen == 100


def test_making_and_loading_a_prefix_touch_its_shards_only(tmp_path, pictures, monkeypatch):
  record_set = write(tmp_path, pictures, 60)
  opened = []
  real_open = builtins.open

  def noted(path, *arguments, **named):
    opened.append(os.path.basename(path) if isinstance(path, str) else "")
    return real_open(path, *arguments, **named)

  monkeypatch.setattr(builtins, "open", noted)
  prefix = {s.file for s in record_set.shards[:6] if s.records}
  size = sum(s.records for s in record_set.shards[:6]) - 1
  for counts in (True, False):
    opened.clear()
    (made,) = make(record_set, {"prefix": size}, counts=counts, overwrite=True)
    assert {name for name in opened if name.endswith(".tfrecord")} == prefix
  opened.clear()
  manifest.load(tmp_path, "prefix")
  assert {name for name in opened if name.endswith(".tfrecord")} == prefix
  monkeypatch.undo()
  assert {s.file for s in made.shards} == prefix and made.shards[-1].use < made.shards[-1].records
  for shard in record_set.shards[6:]:
    os.remove(tmp_path / shard.file)
  assert ids(manifest.load(tmp_path, "prefix", full=True)) == by_hash(pictures)[:size]


@pytest.mark.parametrize("sizes, values, error, text", [
    ({"x": 0}, {}, ConfigError, "0 pictures; expected at least 1"),
    ({"x": 31}, {}, DataError, "30 pictures to choose from; expected the 31 of x"),
    ({"x": 5}, {"keep_ids": {b"p1", b"nobody"}}, DataError, "1 pictures to choose from"),
    ({"x": None}, {"keep_ids": {b"nobody"}}, DataError, "0 pictures .* at least one"),
    ({"x": None}, {}, ConfigError, "all of the pictures"),
    ({"x": None}, {"classes": ["unicorn"]}, DataError, "unicorn; expected an id of the 5"),
    ({"train": 5}, {}, ConfigError, "the name of the set itself"),
    ({"val": 5}, {}, DataError, "a set of this name is there"),
    ({"val": 5}, {"overwrite": True}, DataError, "a set that is no subset"),
    ({"a": 5, "../b": 6}, {}, ConfigError, "bad-split")])
def test_what_cannot_be_is_one_clear_error_and_writes_nothing(
    tmp_path, sizes, values, error, text):
  record_set = write(tmp_path, {f"p{i}": [0] for i in range(30)}, 3)
  write(tmp_path, {"v": [0]}, 1, "val")
  there = sorted(os.listdir(tmp_path))
  with pytest.raises(error, match=text):
    make(record_set, sizes, **values)
  assert sorted(os.listdir(tmp_path)) == there


def test_replacing_is_explicit_and_leaves_no_old_index(tmp_path):
  record_set = write(tmp_path, {f"p{i}": [i % 5] for i in range(30)}, 3)
  make(record_set, {"x": None}, classes=["dog"])
  assert {"index-x.bin", "counts-x.json"} <= set(os.listdir(tmp_path))
  with pytest.raises(DataError, match="there already"):
    make(record_set, {"x": 10})
  make(record_set, {"x": 10}, counts=False, overwrite=True)
  assert {n for n in os.listdir(tmp_path) if "-x." in n} == {"manifest-x.json"}
  assert manifest.load(tmp_path, "x", full=True).records == 10


def test_a_damaged_or_missing_shard_is_named(tmp_path):
  record_set = write(tmp_path, {f"p{i}": [0] for i in range(30)}, 3)
  path = tmp_path / record_set.shards[1].file
  data = bytearray(path.read_bytes())
  data[40] ^= 1
  path.write_bytes(data)
  make(record_set, {"fine": record_set.shards[0].records})
  with pytest.raises(DataError, match=f"{path.name}.*record 0 .* fails its checksum"):
    make(record_set, {"x": 30})
  path.unlink()
  with pytest.raises(DataError, match=f"{path.name}: no such file"):
    make(record_set, {"x": 30}, counts=False)


def test_a_record_that_cannot_be_parsed_carries_nothing_and_keeps_its_place(tmp_path):
  label_map.write(tmp_path, LABELS)
  with records.Writer(tmp_path, "train", 2, label_map.metadata(label_map.FILE)) as writer:
    for i in range(12):
      bad = i % 4 == 3
      writer.write(f"p{i}", b"\xff no Example" if bad else schema.encode(
          f"p{i}", b"\xff\xd8\xff", "jpeg", 1, 1, [i % 4, 77 if i == 4 else 0]))
  order = by_hash([f"p{i}" for i in range(12)])
  (dogs,) = make(writer.record_set, {"dogs": None}, classes=["dog"])
  assert ids(dogs) == [name for name in order if int(name[1:]) % 4 == 1]
  last = next(i for i in range(12, 0, -1) if int(order[i - 1][1:]) % 4 == 3)
  with pytest.raises(DataError, match="a record without an id"):
    make(writer.record_set, {"x": last})


def test_lists_of_ids_are_one_a_line_with_their_spaces(tmp_path):
  path = tmp_path / "ids.txt"
  path.write_bytes("\ufeffa b\r\n\n å/ü.jpg \nx".encode() + b"\n\xff\n")
  assert picture_choice.read_ids(path) == {b"a b", " å/ü.jpg ".encode(), b"x", b"\xff"}
  for data, text in ((b"\n\n", "no id"), (b"a\0b", "no id: a"), (b"x" * 9000, ":1: no id")):
    path.write_bytes(data)
    with pytest.raises(DataError, match=text):
      picture_choice.read_ids(path)
  with pytest.raises(DataError, match="no such file"):
    picture_choice.read_ids(tmp_path / "gone")


def test_a_hierarchy_of_other_records_is_refused(full):
  other = Hierarchy(["animal", "dog"], [("dog", "animal")])
  with pytest.raises(DataError, match="5 labels; expected the 2 of the hierarchy"):
    choice(full, other)
  unlabelled = dataclasses.replace(full, metadata={})
  assert picture_choice.vocabulary(unlabelled, TREE) == LABELS
  assert choice(unlabelled).counts is False
  with pytest.raises(DataError, match="records without a label map"):
    choice(unlabelled, classes=["dog"])
