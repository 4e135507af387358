"""Counts of targets equal sets over the records that the reader uses."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.reading import parse_labels, target_counts
from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.data.records import writing as records
from jft_reps.ops import images
from tests.data import picture_files as files

TREE = Hierarchy(["animal", "dog", "cat"], [("dog", "animal"), ("cat", "animal")])


def count(directory, limit=100):
  expand = LabelExpansion(3, TREE.closure(), tf.uint8)

  def targets(batch):
    found = expand(batch["labels"])
    return {"targets": found, "unknown_targets": expand.unknown(found, batch["unknown"])}

  parser = parse_labels.LabelParser(images.CenterCrop(), 3, 8)
  return target_counts.target_counts(records.load(directory, "train"), parser, targets, limit)


def write(directory, examples):
  with records.Writer(directory, "train", 2) as writer:
    for name, example in examples.items():
      writer.write(name, example)


def test_present_and_known_are_counted_for_every_class(tmp_path):
  write(tmp_path, {
      "a": files.example("a", labels=(1,)), "b": files.example("b", labels=(1, 1), unknown=(2,)),
      "c": files.example("c", labels=(2, 0), unknown=(0,)), "d": files.example("d", labels=()),
      "e": files.example("e", labels=(), unknown=(0,))})
  present, known, pictures = count(tmp_path)
  assert present.tolist() == [3, 2, 1] and pictures == 5
  assert known.tolist() == [4, 3, 3]  # of a cat that may be a dog too; of an e nothing
  present, known, pictures = count(tmp_path, limit=2)
  assert pictures == 2 and np.all(known <= 2)


def test_records_that_the_reader_leaves_out_are_not_counted(tmp_path):
  bad = {"malformed": b"\xff\xfe not an Example \x80", "many": files.example("m", labels=[0] * 9),
         "large": files.example("l", labels=(0, 3)), "no picture": files.example("e", b"")}
  write(tmp_path, {**bad, **{f"g{i}": files.example(f"g{i}", labels=(i % 2,)) for i in range(7)}})
  present, known, pictures = count(tmp_path)
  assert (present.tolist(), known.tolist(), pictures) == ([7, 3, 0], [7, 7, 7], 7)


def test_a_set_without_a_usable_record_counts_to_nothing(tmp_path):
  write(tmp_path, {"a": b"\xff\xfe", "b": files.example("b", labels=(-5,))})
  present, known, pictures = count(tmp_path)
  assert (present.tolist(), known.tolist(), pictures) == ([0] * 3, [0] * 3, 0)
