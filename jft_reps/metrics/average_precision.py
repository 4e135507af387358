"""Average precision from the best k classes of each picture: selection, ranking, ties.

Everything here is a function of the set of pictures, to the last bit: neither the order in which
they come nor how they are cut into batches changes a result. Equal scores are settled so:

* inside a picture the class with the smaller index comes first;
* inside the ranking of a class, pictures with equal scores form one group: each hit in it counts
  with the precision at the end of the group, as when a threshold is lowered below that score
  (so does scikit-learn's `average_precision_score`).
"""

from __future__ import annotations

import math

import numpy as np


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
  """The k best classes of each picture, by score and then by class index.

  Args:
    scores: finite floats `[pictures, classes]`.
    k: how many to keep; all classes where there are fewer.

  Returns:
    Scores `[pictures, min(k, classes)]`, falling, and their class indices, int32, alike.
  """
  pictures, width = scores.shape
  if k >= width:
    columns = np.broadcast_to(np.arange(width), scores.shape)
  else:
    least = np.partition(scores, width - k, axis=1)[:, width - k, None]
    chosen = scores >= least
    if np.count_nonzero(chosen) > pictures * k:  # a tie straddles the k-th place somewhere
      surplus = chosen.sum(axis=1) - k
      for row in np.flatnonzero(surplus):
        tied = np.flatnonzero(scores[row] == least[row])
        chosen[row, tied[len(tied) - surplus[row]:]] = False
    columns = (np.flatnonzero(chosen) % width).reshape(pictures, k)
  values = np.take_along_axis(scores, columns, axis=1)
  order = np.argsort(-values, axis=1, kind="stable")
  return (np.take_along_axis(values, order, axis=1),
          np.take_along_axis(columns, order, axis=1).astype(np.int32))


def by_class(classes: np.ndarray, scores: np.ndarray, hits: np.ndarray,
             positives: np.ndarray) -> np.ndarray:
  """Reading A: AP of each class over the pictures that have it among their best k.

  AP_c = (sum over hits of the precision at the hit) / (number of pictures labelled c).

  Args:
    classes: `[entries]` class of each kept prediction, any order.
    scores: `[entries]` its score.
    hits: bool `[entries]`, whether the picture carries that label.
    positives: `[classes]` pictures labelled with each class.

  Returns:
    float64 `[classes]`; nan for a class without positives.
  """
  order = np.lexsort((-scores, classes))
  classes, scores, hits = classes[order], scores[order], hits[order]
  changes = classes[1:] != classes[:-1]
  edge = np.ones(min(1, len(classes)), bool)
  first = np.concatenate([edge, changes])
  last = np.concatenate([changes | (scores[1:] != scores[:-1]), edge])
  starts, run = np.flatnonzero(first), np.cumsum(first) - 1
  rank = np.arange(len(classes)) - starts[run] + 1
  found = np.cumsum(hits)
  found -= (found[starts] - hits[starts])[run]
  precision = (found / rank)[last][np.cumsum(last) - last]
  return _per_positive(np.bincount(classes[hits], precision[hits], len(positives)), positives)


def of_random_order(ranked: np.ndarray, positives: np.ndarray, pictures: int) -> np.ndarray:
  """Reading A of pictures in an order that is drawn by lot: the mean AP over all orders.

  A place i of N holds a hit with probability n / N, and before a hit (i - 1) (n - 1) / (N - 1) are
  to be expected (Bestgen 2015, "Exact expected average precision of the random baseline"): somewhat
  more than the share n / N, since the first hit may come early.

  Args:
    ranked: `[classes]`, classes that all pictures have among their best k; the others no picture.
    positives: `[classes]` pictures labelled with each class, n.
    pictures: how many there are, N.

  Returns:
    float64 `[classes]`; nan for a class without positives.
  """
  harmonic = (1.0 / np.arange(1, pictures + 1)).sum()
  others = (positives - 1) / max(pictures - 1, 1)
  expected = (harmonic + others * (pictures - harmonic)) / max(pictures, 1)
  return np.where(positives > 0, np.where(ranked, expected, 0.0), np.nan)


def by_picture(
    classes: np.ndarray, hits: np.ndarray, evaluated: np.ndarray, label_rows: np.ndarray,
    label_classes: np.ndarray, weights: np.ndarray, positives: np.ndarray, k: int,
) -> tuple[float, np.ndarray]:
  """Reading B: mean over pictures of AP@k with each label's contribution weighted.

  AP@k = (sum over hits of w_c · precision at the hit) / (sum of the min(k, labels) largest w_c of
  the picture's labels). With equal weights the divisor is min(k, labels), the usual AP@k. Pictures
  whose divisor is zero (no evaluated label) are left out.

  Args:
    classes: `[pictures, kept]` in falling order of score.
    hits: bool, alike.
    evaluated: bool, alike; the others take up no rank.
    label_rows: `[labels]` picture of each evaluated label.
    label_classes: `[labels]` its class.
    weights: float64 `[classes]`.
    positives: `[classes]` pictures labelled with each class.
    k: the k of AP@k.

  Returns:
    The mean (nan without any picture to take it over), and for each class the mean over the
    pictures labelled with it of the precision at its place, 0 beyond k; nan without positives.
  """
  rank = np.maximum(np.cumsum(evaluated, axis=1), 1)
  precision = np.where(hits, np.cumsum(hits, axis=1) / rank, 0.0)
  gained = (precision * weights[classes]).sum(axis=1)
  order = np.lexsort((-weights[label_classes], label_rows))
  rows, weight = label_rows[order], weights[label_classes[order]]
  place = np.arange(len(rows)) - np.searchsorted(rows, rows)
  possible = np.bincount(rows[place < k], weight[place < k], len(classes))
  defined = possible > 0
  share = gained[defined] / possible[defined]
  value = math.fsum(share) / len(share) if len(share) else math.nan
  hit_class, hit_precision = classes[hits], precision[hits]
  order = np.lexsort((hit_precision, hit_class))  # so that the sum has one order
  summed = np.bincount(hit_class[order], hit_precision[order], len(positives))
  return value, _per_positive(summed, positives)


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
  """Mean of the values that are not nan, weighted if weights are given; nan if there are none."""
  defined = ~np.isnan(values)
  weights = np.ones(len(values)) if weights is None else weights
  total = weights[defined].sum()
  return float((values[defined] * weights[defined]).sum() / total) if total > 0 else math.nan


def _per_positive(summed: np.ndarray, positives: np.ndarray) -> np.ndarray:
  result = np.full(len(positives), np.nan)
  np.divide(summed, positives, out=result, where=positives > 0)
  return result
