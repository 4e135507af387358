"""The parser reads verified absences where it is asked to, and holds them to the same rules."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.data.reading import label_batches, parse_labels
from jft_reps.data.records import reasons
from jft_reps.data.records import writing as records
from jft_reps.ops import images
from tests.data import picture_files as files


def parse(*examples, **arguments):
  parser = parse_labels.LabelParser(images.CenterCrop(16, 12), 5, 3, **arguments)
  return parser, parser.parse(tf.constant(examples))


def test_absences_are_padded_lists_like_unknowns():
  _, found = parse(
      files.example("a", labels=(1,), absent=(4, 0)), files.example("b", labels=(2, 3)),
      files.example("c", labels=(), absent=(1, 2, 3), unknown=(4,)), absent=True)
  assert found["absent"].dtype == tf.int64
  np.testing.assert_array_equal(found["absent"], [[4, 0, -1], [-1, -1, -1], [1, 2, 3]])
  np.testing.assert_array_equal(found["labels"], [[1, -1, -1], [2, 3, -1], [-1, -1, -1]])
  np.testing.assert_array_equal(found["unknown"], [[-1] * 3, [-1] * 3, [4, -1, -1]])
  np.testing.assert_array_equal(found["problem"], [-1, -1, -1])


@pytest.mark.parametrize("absent, reason", [
    ((5,), reasons.LABEL_OUT_OF_RANGE), ((-1,), reasons.LABEL_OUT_OF_RANGE),
    ((2**32,), reasons.LABEL_OUT_OF_RANGE), ((0, 1, 2, 3), reasons.TOO_MANY_LABELS)])
def test_bad_absences_are_reasons_only_where_they_are_read(absent, reason):
  example = files.example("a", labels=(1,), absent=absent)
  parser, found = parse(example, absent=True)
  assert found["problem"].numpy() == [reason] and parser.reason(tf.constant(example)) == reason
  _, found = parse(example)
  assert found["problem"].numpy() == [-1] and "absent" not in found


def test_training_batches_hold_the_absences_of_their_pictures(tmp_path):
  with records.Writer(tmp_path, "train", 2) as writer:
    for i in range(9):
      writer.write(f"p{i}", files.example(f"p{i}", labels=(i % 5,), absent=((i + 1) % 5,)))
  found = records.load(tmp_path, "train")
  batches = lambda **more: label_batches.train_batches(
      found, 4, num_classes=5, picture=images.RandomCrop(16, 12), max_labels=3, **more)
  for batch in batches(absent=True).take(4):
    own = [int(name[1:]) for name in batch["id"].numpy()]
    np.testing.assert_array_equal(batch["absent"], [[(i + 1) % 5, -1, -1] for i in own])
  assert "absent" not in batches().element_spec
