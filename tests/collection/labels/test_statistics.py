"""Statistics are those that counting sets gives, before and after ancestors are added."""

from __future__ import annotations

import collections
import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jft_reps.collection.labels import lists, statistics
from jft_reps.collection.subsets import subsets
from jft_reps.collection.subsets.choice import Choice
from jft_reps.data.hierarchy.graph import Hierarchy, Node
from jft_reps.errors import DataError
from tests.data import picture_files as files
from tests.data import record_files

# A diamond: a pug is a dog and a toy, both are things.
TREE = Hierarchy(
    [Node("thing", "Thing"), Node("dog", "Dog"), Node("toy", "Toy"), Node("pug", "Pug"),
     Node("rock", "Rock")],
    [("dog", "thing"), ("toy", "thing"), ("pug", "dog"), ("pug", "toy")])
LISTED = [(3,), (1, 1, 3), (0,), (), (2, 1), (3, 0)]


def written(directory, listed=LISTED, split="train", **bad):
  examples = {f"p{i}": files.example(f"p{i}", labels=ids) for i, ids in enumerate(listed)}
  return record_files.write(
      directory, split, record_files.by_shard({**examples, **bad}, 3), TREE.ids)


def counted(listed, expand: bool):
  """(pictures per class, labels per picture) by sets of ids."""
  per_class, per_picture = collections.Counter(), []
  for ids in listed:
    found = {TREE.ids[i] for i in ids}
    if expand:
      found |= {a for one in found for a in TREE.ancestors(one)}
    per_class.update(found)
    per_picture.append(len(found))
  return [per_class[i] for i in TREE.ids], per_picture


@pytest.mark.parametrize("expand", [False, True])
def test_numbers_are_those_of_sets(tmp_path, expand):
  found = statistics.measure(written(tmp_path), TREE.ids, TREE)
  part = (found.with_ancestors if expand else found.listed)
  per_class, per_picture = counted(LISTED, expand)
  assert part.per_class.tolist() == per_class
  summary = part.summary(found.names)
  assert summary["labels"] == sum(per_picture) and summary["most_labels"] == max(per_picture)
  assert summary["labels_per_picture"] == pytest.approx(np.mean(per_picture))
  assert summary["median_labels"] == sorted(per_picture)[(len(per_picture) - 1) // 2]
  assert summary["pictures_without_labels"] == per_picture.count(0)
  assert summary["classes_with_pictures"] == sum(c > 0 for c in per_class)
  assert summary["classes_under_20"] == summary["classes_under_100"] == 5
  best = max(range(5), key=lambda i: (per_class[i], -i))
  assert summary["head"][0] == [TREE.names[best], per_class[best]]
  assert all(count > 0 for _, count in summary["tail"])


@given(st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=8))
def test_pairs_expand_as_the_hierarchy_does(listed):
  rows = [i for i, ids in enumerate(listed) for _ in ids]
  pairs = lists.unique(rows, np.array([c for ids in listed for c in ids], int), 5)
  grown = lists.expand(pairs, TREE.closure())
  wanted = [(i, TREE.index(a)) for i, ids in enumerate(listed)
            for a in TREE.expand(TREE.ids[c] for c in ids)]
  assert list(zip(grown.rows.tolist(), grown.classes.tolist())) == wanted
  below = lists.expand(pairs, lists.implied_absences(TREE.closure()))
  wanted = {(i, TREE.index(d)) for i, ids in enumerate(listed) for c in ids
            for d in (TREE.ids[c], *TREE.descendants(TREE.ids[c]))}
  assert set(zip(below.rows.tolist(), below.classes.tolist())) == wanted


def test_the_hierarchy_is_described_and_bad_records_are_counted(tmp_path):
  record_set = written(tmp_path, bad=b"\xff\xfe", far=files.example("far", labels=(0, 5)))
  found = statistics.measure(record_set, TREE.ids, TREE)
  assert (found.pictures, found.left_out) == (6, 2)
  assert found.hierarchy["max_depth"] == 2 and found.hierarchy["max_fan_out"] == 2
  assert found.hierarchy["most_children"] == "Thing"
  text = found.text()
  assert "6 pictures, 5 classes; 2 records that a reader leaves out" in text
  assert "depth 2, at most 2 children (Thing)" in text
  assert "labels as listed: 8, 1.33 a picture (median 1, most 2, 1 pictures without)" in text
  assert "tail: Toy 1; Dog 2; Thing 2; Pug 3" in text


def test_a_subset_has_its_own_numbers(tmp_path):
  written(tmp_path)
  (half,) = subsets.make(tmp_path, "train", {"three": 3}, Choice(TREE.ids))
  found = statistics.measure(half, TREE.ids)
  assert found.pictures == 3 and found.with_ancestors is None
  assert found.to_json()["with_ancestors"] is None


def test_files_are_written_and_can_be_read(tmp_path):
  found = statistics.measure(written(tmp_path), TREE.ids, TREE)
  text, numbers, table, plot = statistics.write(found, tmp_path / "new" / "out")
  assert open(text).read() == found.text()
  assert json.load(open(numbers)) == found.to_json()
  rows = list(csv.DictReader(open(table)))
  assert [r["id"] for r in rows] == list(TREE.ids)
  assert [int(r["with_ancestors"]) for r in rows] == found.with_ancestors.per_class.tolist()
  image = np.asarray(Image.open(plot).convert("RGB"))
  assert image.shape[1] > 600
  for colour in ((0x1F, 0x5F, 0xA8), (0xC2, 0x57, 0x1A)):  # both curves are drawn
    assert (np.abs(image.astype(int) - colour).max(-1) < 8).sum() > 100
  assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == [
      "class_counts.csv", "statistics.json", "statistics.png", "statistics.txt"]


def test_a_set_without_pictures_of_any_class_is_described(tmp_path):
  found = statistics.measure(written(tmp_path, listed=[()]), TREE.ids, TREE)
  assert found.to_json()["listed"]["head"] == [] and "0.00 a picture" in found.text()
  assert statistics.write(found, tmp_path / "out")


def test_a_damaged_shard_is_named(tmp_path):
  record_set = written(tmp_path)
  path = record_set.paths[[s.records > 0 for s in record_set.shards].index(True)]
  data = bytearray(open(path, "rb").read())
  data[60] ^= 1
  open(path, "wb").write(data)
  with pytest.raises(DataError, match="corrupt-record.*fails its checksum"):
    statistics.measure(record_set, TREE.ids)


def test_names_of_hostile_classes_are_escaped(tmp_path):
  record_set = record_files.write(
      tmp_path, "train", [[files.example("a", labels=(0,))]], ("evil\x1b[31m,x", "b"))
  found = statistics.measure(record_set, ("evil\x1b[31m,x", "b"))
  assert "\x1b" not in found.text()
  assert next(csv.reader(io.StringIO(found.class_counts().splitlines()[1])))[0] == "evil\x1b[31m,x"
