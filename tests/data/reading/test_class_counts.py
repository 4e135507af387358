"""Counts of classes are those of the records that the reader uses, whatever lies beside them."""

from __future__ import annotations

import numpy as np

from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.reading import target_counts
from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.data.records import writing as records
from tests.data import picture_files as files


def _written(directory, examples):
  with records.Writer(directory, "train", 2) as writer:
    for name, example in examples.items():
      writer.write(name, example)
  return records.load(directory, "train")


def test_counts_are_pictures_per_class_with_their_ancestors(tmp_path):
  tree = Hierarchy(["animal", "dog", "cat"], [("dog", "animal"), ("cat", "animal")])
  labels = [(1,), (1, 1), (2, 0), (2, 1), ()]
  found = _written(tmp_path, {f"p{i}": files.example(f"p{i}", labels=ids)
                              for i, ids in enumerate(labels)})
  counts, pictures = target_counts.class_counts(found, LabelExpansion(3, tree.closure()), 100)
  assert counts.tolist() == [4, 3, 2] and pictures == 5
  counts, pictures = target_counts.class_counts(found, LabelExpansion(3), 2)
  assert pictures == 2 and counts.sum() <= 4


def test_records_that_the_reader_leaves_out_are_not_counted(tmp_path):
  bad = {
      "malformed": b"\xff\xfe not an Example \x80", "negative": files.example("n", labels=(-5, 0)),
      "padding": files.example("q", labels=(-1,)), "large": files.example("l", labels=(0, 3)),
      "overflow": files.example("o", labels=(2**32,)), "many": files.example("m", labels=[0] * 9),
      "unknown": files.example("u", labels=(0,), unknown=(7,)),
      "confidences": files.example("c", labels=(0,))[:-1], "no picture": files.example("e", b"")}
  good = {f"g{i}": files.example(f"g{i}", labels=(i % 2,)) for i in range(7)}
  found = _written(tmp_path, {**bad, **good})
  counts, pictures = target_counts.class_counts(found, LabelExpansion(3), 100, max_labels=8)
  np.testing.assert_array_equal(counts, [4, 3, 0])
  assert pictures == 7


def test_a_set_without_a_usable_record_counts_to_nothing(tmp_path):
  found = _written(tmp_path, {"a": b"\xff\xfe", "b": files.example("b", labels=(-5,))})
  counts, pictures = target_counts.class_counts(found, LabelExpansion(3), 100)
  assert counts.tolist() == [0, 0, 0] and pictures == 0
