"""Confusions against scikit-learn, chance against simulation, and what a list of them says."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from sklearn import metrics

from jft_reps.metrics import fasteval
from jft_reps.metrics.mean_iou import MeanIoU
from jft_reps.metrics.topk import TopK
from jft_reps.tasks.evaluators.confusion import Confusion

LABELS = ("ant", "bee", "cat", "dog", "=eel", "fox", "gnu")


@pytest.fixture
def confusion():
  rng = np.random.default_rng(0)
  truth = rng.choice(6, 500, p=[0.4, 0.2, 0.15, 0.1, 0.1, 0.05])
  predicted = np.where(rng.random(500) < 0.6, truth, rng.integers(0, 7, 500))
  return Confusion(LABELS, tuple(f"{i}.jpg" for i in range(500)), truth, predicted,
                   rng.random(500))


def test_matrix_recall_and_precision_are_scikit_learns(confusion):
  np.testing.assert_array_equal(
      confusion.matrix, metrics.confusion_matrix(confusion.truth, confusion.predicted,
                                                 labels=range(7)))
  rows = list(csv.DictReader(io.StringIO(confusion.classes_csv())))
  precision, recall, _, count = metrics.precision_recall_fscore_support(
      confusion.truth, confusion.predicted, labels=range(7), zero_division=np.nan)
  for c, row in enumerate(rows):
    assert int(row["pictures"]) == count[c]
    assert row["recall"] == ("" if not count[c] else f"{recall[c]:.4f}")
    assert row["precision"] == f"{precision[c]:.4f}"
  assert rows[4]["class"] == "'=eel"  # no formula
  worst = np.argsort(-np.where(np.eye(7, dtype=bool), 0, confusion.matrix)[0], kind="stable")[0]
  assert rows[0]["taken_for"].startswith(f"{LABELS[worst]} ".lstrip("'"))


def test_chance_is_what_constant_scores_reach(confusion):
  counts = np.bincount(confusion.truth, minlength=7).astype(float)
  blind = TopK((1, 5))
  blind.update(confusion.ids, np.tile(counts, (500, 1)), confusion.truth)
  found, expected = confusion.chance(), blind.result()
  assert found == pytest.approx({name: expected[name] for name in found})


def test_wrong_pictures_come_surest_first(confusion):
  wrong = confusion.wrong(20)
  assert len(wrong) == 20 and (np.diff(confusion.confidence[wrong]) <= 0).all()
  assert (confusion.truth[wrong] != confusion.predicted[wrong]).all()
  left = confusion.confidence[np.flatnonzero(confusion.truth != confusion.predicted)]
  assert confusion.confidence[wrong[-1]] == np.sort(left)[-20]


def test_one_class_that_takes_nearly_all_is_warned_of(confusion):
  assert confusion.dominant() == ""
  same = Confusion(LABELS, confusion.ids, confusion.truth, np.full(500, 3), confusion.confidence)
  assert same.dominant().startswith("class dog takes 100% of the predictions (")
  true = Confusion(LABELS, confusion.ids, np.full(500, 3), np.full(500, 3), confusion.confidence)
  assert true.dominant() == ""


@pytest.mark.parametrize("arguments", [{"k": 3}, {"k": 20}, {"k": 3, "reading": "picture"},
                                       {"k": 4, "classes": [1, 2, 5, 7, 9]}])
def test_chance_of_map_is_that_of_label_frequencies(arguments):
  rng = np.random.default_rng(1)
  labels = (rng.random((400, 12)) < np.linspace(0.02, 0.5, 12)).astype(np.uint8)
  metric = fasteval.FastEval(12, **arguments)
  metric.update([str(i) for i in range(400)], rng.standard_normal((400, 12)), labels)
  before = metric.result().value
  blind = fasteval.mean_average_precision(np.tile(labels.sum(0), (400, 1)), labels, **arguments)
  assert metric.label_frequencies().value == blind.value
  assert metric.result().value == before != blind.value
  if arguments == {"k": 20}:  # everything is ranked: AP of equal scores is the class's frequency
    share = labels.mean(0)
    assert blind.macro == pytest.approx(share.mean())


def test_chance_of_segmentation_is_the_commonest_class_everywhere():
  truth = np.random.default_rng(2).choice(4, (40, 30), p=[0.5, 0.3, 0.2, 0.0]).astype(np.uint8)
  real, blind = MeanIoU(list("abcd")), MeanIoU(list("abcd"))
  real.update("1", np.roll(truth, 1), truth)
  blind.update("1", np.zeros_like(truth), truth)
  expected = blind.result().numbers
  assert real.chance() == pytest.approx({name: expected[name] for name in real.chance()})
