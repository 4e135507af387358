"""K-means, seeded and the same on every run: a few centroids of a few thousand features."""

from __future__ import annotations

import numpy as np


def kmeans(values: np.ndarray, clusters: int, seed: int = 0, rounds: int = 100) -> np.ndarray:
  """Centroids by Lloyd's algorithm, started by k-means++ (Arthur and Vassilvitskii 2007).

  Args:
    values: float `[n, d]`, n of at least 1.
    clusters: at most as many as there are different values come back.
    seed: of the start.
    rounds: at most; it ends when nothing moves.

  Returns:
    float64 `[k, d]`.
  """
  values = np.asarray(values, np.float64)
  centroids = _start(values, clusters, np.random.default_rng(seed))
  previous = None
  for _ in range(rounds):
    nearest = squared_distances(values, centroids).argmin(1)
    if previous is not None and (nearest == previous).all():
      break
    previous = nearest
    sizes = np.bincount(nearest, minlength=len(centroids))
    sums = np.zeros_like(centroids)
    np.add.at(sums, nearest, values)
    filled = sizes > 0  # a centroid that lost all of its values stays where it is
    centroids[filled] = sums[filled] / sizes[filled, np.newaxis]
  return centroids


def squared_distances(values: np.ndarray, centroids: np.ndarray) -> np.ndarray:
  """float64 `[n, k]`, never negative."""
  inner = values @ centroids.T
  norms = (values**2).sum(1)[:, np.newaxis] + (centroids**2).sum(1)
  return np.maximum(norms - 2 * inner, 0.0)


def _start(values: np.ndarray, clusters: int, random: np.random.Generator) -> np.ndarray:
  """Values drawn one after another, with the square of the distance to those drawn as weight."""
  chosen = [values[random.integers(len(values))]]
  left = ((values - chosen[0])**2).sum(1)
  while len(chosen) < clusters and left.max() > 1e-12:
    chosen.append(values[random.choice(len(values), p=left / left.sum())])
    left = np.minimum(left, ((values - chosen[-1])**2).sum(1))
  return np.stack(chosen)
