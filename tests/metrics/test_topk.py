import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.errors import NumericError
from jft_reps.metrics import topk


def test_against_sorting_where_no_scores_tie():
  rng = np.random.default_rng(0)
  scores, labels = rng.normal(size=(200, 30)), rng.integers(0, 30, 200)
  for k in (1, 5, 30):
    best = np.argsort(-scores, 1)[:, :k]
    np.testing.assert_array_equal(topk.hits(scores, labels, k), (best == labels[:, None]).any(1))


@given(st.integers(2, 6), st.integers(1, 6), st.integers(0, 10_000))
def test_ties_count_by_the_chance_of_a_random_order(classes, k, seed):
  rng = np.random.default_rng(seed)
  scores, label = rng.integers(0, 3, classes).astype(float), int(rng.integers(classes))
  order = np.argsort(rng.random((20_000, classes)), 1)  # of the classes
  shuffled = scores[order]
  best = np.take_along_axis(order, np.argsort(-shuffled, 1, kind="stable"), 1)[:, :k]
  chance = (best == label).any(1).mean()
  assert topk.hits(scores[None], np.array([label]), k)[0] == pytest.approx(chance, abs=0.02)


def test_streaming_excluding_and_the_mean_over_classes():
  metric = topk.TopK((1, 2))
  scores = np.array([[3.0, 2, 1], [3, 2, 1], [3, 2, 1], [1, 2, 3]])
  labels = np.array([0, 1, 2, 2])
  metric.update(["a", "b"], scores[:2], labels[:2])
  metric.update(["c", "d"], scores[2:], labels[2:])
  assert metric.result() == {
      "pictures": 4.0, "top1": 0.5, "top2": 0.75,
      "class_mean_top1": pytest.approx((1 + 0 + 0.5) / 3)}
  assert metric.result(["c", "b"]) == {
      "pictures": 2.0, "top1": 1.0, "top2": 1.0, "class_mean_top1": 1.0}
  assert metric.result(["a", "b", "c", "d"]) == {"pictures": 0.0}


def test_nan_is_refused():
  with pytest.raises(NumericError, match="1 NaN"):
    topk.hits(np.array([[1.0, np.nan]]), np.array([0]), 1)
