"""Confusions against scikit-learn, guessing against the metric, and what a list of them says."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from sklearn import metrics

from jft_reps.metrics.mistakes import surest
from jft_reps.metrics.mistakes.confusion import Confusion
from jft_reps.metrics.topk import TopK

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
      confusion.matrix(), metrics.confusion_matrix(confusion.truth, confusion.predicted,
                                                   labels=range(7)))
  some = np.array([1, 4, 6])
  np.testing.assert_array_equal(confusion.matrix(some), confusion.matrix()[np.ix_(some, some)])
  rows = list(csv.DictReader(io.StringIO(confusion.classes_csv())))
  precision, recall, _, count = metrics.precision_recall_fscore_support(
      confusion.truth, confusion.predicted, labels=range(7), zero_division=np.nan)
  for c, row in enumerate(rows):
    assert int(row["pictures"]) == count[c]
    assert row["recall"] == ("" if not count[c] else f"{recall[c]:.4f}")
    assert row["precision"] == f"{precision[c]:.4f}"
  assert rows[4]["class"] == "'=eel"  # no formula
  worst = np.argsort(-np.where(np.eye(7, dtype=bool), 0, confusion.matrix())[0], kind="stable")[0]
  assert rows[0]["taken_for"].startswith(f"{LABELS[worst]} ".lstrip("'"))


def test_chance_is_what_constant_scores_reach(confusion):
  counts = np.bincount(confusion.truth, minlength=7).astype(float)
  blind = TopK((1, 5))
  blind.update(confusion.ids, np.tile(counts, (500, 1)), confusion.truth)
  for excluded in ((), confusion.ids[:300]):
    found, expected = confusion.guessing(excluded), blind.result(excluded)
    assert found == pytest.approx({name: expected[name] for name in ("top1", "top5")} | {
        "class_mean_top1": 1 / len(set(confusion.truth[len(excluded):]))})
  assert confusion.guessing(confusion.ids) == {}


def test_wrong_pictures_come_surest_first(confusion):
  mistakes = confusion.mistakes(20)
  wrong = np.flatnonzero(confusion.truth != confusion.predicted)
  order = wrong[np.argsort(-confusion.confidence[wrong])][:20]
  assert [m.id for m in mistakes] == [confusion.ids[i] for i in order]
  assert [m.truth for m in mistakes] == [LABELS[confusion.truth[i]] for i in order]
  rows = list(csv.reader(io.StringIO(surest.csv_text(mistakes))))
  assert rows[0] == ["id", "truth", "predicted", "confidence"] and len(rows) == 21
  assert rows[1][3] == f"{confusion.confidence[order[0]]:.4f}"


def test_of_very_many_classes_the_pairs_that_occur_are_listed():
  labels = tuple(f"c{i}" for i in range(20_000))  # a matrix of these would take 3 GB
  made = Confusion(labels, ("a", "b", "c"), np.array([5, 5, 19_999]), np.array([7, 7, 19_999]),
                   np.ones(3))
  assert made.csv_text() == "truth,predicted,pictures\nc5,c7,2\nc19999,c19999,1\n"
  assert made.most_confused(2).tolist() == [5, 7]
  assert "\n5,c5,2,0.0000,,0,c7 2\n" in made.classes_csv()


def test_one_class_that_takes_nearly_all_is_warned_of(confusion):
  assert confusion.dominant() == ""
  same = Confusion(LABELS, confusion.ids, confusion.truth, np.full(500, 3), confusion.confidence)
  assert same.dominant().startswith("class dog takes 100% of the predictions and is ")
  true = Confusion(LABELS, confusion.ids, np.full(500, 3), np.full(500, 3), confusion.confidence)
  assert true.dominant() == ""
  # Half of the pictures are of the class that all are taken for: accuracy says 0.52.
  half = np.where(np.arange(500) < 260, 3, 1)
  same = Confusion(LABELS, confusion.ids, half, np.full(500, 3), confusion.confidence)
  assert "100% of the predictions and is 52% of the truth" in same.dominant()
  # A class that is nearly all of the truth may be nearly all of the predictions.
  most = np.where(np.arange(500) < 470, 3, 1)
  right = Confusion(LABELS, confusion.ids, most, most, confusion.confidence)
  assert right.dominant() == ""
