"""K-means, seeded and the same on every run: a few centroids of a few thousand features."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.cluster import vq

_ROUNDS = 100  # at most
_STEP = 10  # rounds between looks whether anything still moves, which SciPy does not ask


def kmeans(values: np.ndarray, clusters: int, seed: int = 0) -> np.ndarray:
  """Centroids by Lloyd's algorithm, started by k-means++ (Arthur and Vassilvitskii 2007).

  Args:
    values: float `[n, d]`, n of at least 1.
    clusters: at most as many as there are different values come back.
    seed: of the start.

  Returns:
    float64 `[k, d]`; a centroid that lost all of its values stays where it is.
  """
  values = np.asarray(values, np.float64)
  clusters = min(clusters, len(np.unique(values, axis=0)))
  draw = np.random.default_rng(seed)
  with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="One of the clusters is empty")
    centroids, _ = vq.kmeans2(values, clusters, 1, minit="++", rng=draw)
    for _ in range(0, _ROUNDS, _STEP):
      before = centroids
      centroids, _ = vq.kmeans2(values, before, _STEP, minit="matrix")
      if (centroids == before).all():
        break
  return centroids
