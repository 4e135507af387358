"""A FastEval set has the classes with enough pictures, in the files that the task reads."""

from __future__ import annotations

import numpy as np
import pytest

from jft_reps.collection.labels import fasteval_set
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.errors import DataError
from jft_reps.metrics import class_weights, fasteval
from jft_reps.tasks.inputs.record_sets import RecordSets
from tests.data import picture_files as files
from tests.data import record_files

TREE = Hierarchy(["thing", "dog", "c,at", "pug", "rock"],
                 [("dog", "thing"), ("c,at", "thing"), ("pug", "dog")])
DENSE = [(3,), (1,), (1, 2), (4,), (3, 2), ()]
TRAIN = [(3,), (3,), (1,), (0,), (2,)]


def written(directory, split, listed, labels=TREE.ids):
  examples = {f"{split}{i}": files.example(f"{split}{i}", labels=ids)
              for i, ids in enumerate(listed)}
  return record_files.write(directory, split, record_files.by_shard(examples, 2), labels)


def positives(listed):
  grown = [TREE.expand(TREE.ids[i] for i in ids) for ids in listed]
  return [sum(name in one for one in grown) for name in TREE.ids]


def test_files_are_read_back_by_the_task_as_they_were_meant(tmp_path):
  dense, train = written(tmp_path, "dense", DENSE), written(tmp_path, "train", TRAIN)
  found = fasteval_set.choose(dense, TREE.ids, TREE, least=2, weighting=train)
  counts = positives(DENSE)
  assert found.positives.tolist() == counts
  assert found.classes.tolist() == [i for i in range(5) if counts[i] >= 2] == [0, 1, 2, 3]
  np.testing.assert_allclose(found.prevalence, np.array(positives(TRAIN)) / len(TRAIN))
  classes, weights = fasteval_set.write(found, tmp_path / "out")
  sets = RecordSets(tmp_path, None, ["dense"], TREE.ids)
  assert sets.class_indices(classes) == found.classes.tolist()
  read = class_weights.read_class_weights(weights, 5, TREE.ids)
  np.testing.assert_array_equal(read.values[:4], found.prevalence[:4])
  assert np.isnan(read.values[4])
  metric = fasteval.FastEval(5, class_weights=read, classes=sets.class_indices(classes))
  assert metric is not None
  assert "4 of 5 classes on 6 pictures" in found.text


def test_without_another_set_the_classes_weigh_what_they_are_here(tmp_path):
  found = fasteval_set.choose(written(tmp_path, "dense", DENSE), TREE.ids)
  assert found.positives.tolist() == [0, 2, 2, 2, 1] and found.classes.tolist() == [1, 2, 3, 4]
  np.testing.assert_allclose(found.prevalence, np.array([0, 2, 2, 2, 1]) / 6)


def test_nothing_to_evaluate_is_an_error(tmp_path):
  dense = written(tmp_path, "dense", DENSE)
  with pytest.raises(DataError, match="at most 4 pictures of a class; expected a class with 6"):
    fasteval_set.choose(dense, TREE.ids, TREE, least=6)
  other = written(tmp_path, "other", [(4,)])
  with pytest.raises(DataError, match="absent from split other"):
    fasteval_set.choose(dense, TREE.ids, least=2, weighting=other)
  hashed = written(tmp_path / "hashed", "dense", [(0,)], ["#tag", "b"])
  with pytest.raises(DataError, match="'#tag'"):
    fasteval_set.write(fasteval_set.choose(hashed, ("#tag", "b")), tmp_path / "no")
  assert not (tmp_path / "no").exists()
