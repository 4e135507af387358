"""A linear classifier on frozen features: ridge regression in closed form.

Features are `[pictures, d]` and may be a memory map larger than memory: they are read a block at a
time. Targets are class ids `[pictures]` or a multi-hot matrix `[pictures, classes]`. Features are
standardised by the training set; of several strengths, one is chosen on a tenth held out.
`logistic_regression` is the other probe; a probe says which of the two it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from jft_reps.errors import DataError
from jft_reps.models.probes import calibration

_ROWS = 8192  # of features held in working precision at a time
# Of regularisation, a factor of ten apart.
STRENGTHS = tuple(10.0 ** power for power in range(-6, 3))


@dataclasses.dataclass(frozen=True)
class Probe:
  """A fitted linear classifier.

  Attributes:
    method: how it was fitted, for people: solver, regularisation, convergence.
    kernel: float32 `[d, classes]`, for raw features.
    bias: float32 `[classes]`.
    regularisation: chosen from the grid.
    iterations: of L-BFGS; 0 for the closed form.
    converged: whether the solver reached its tolerance.
  """

  method: str
  kernel: np.ndarray
  bias: np.ndarray
  regularisation: float
  iterations: int = 0
  converged: bool = True

  def scores(self, features: np.ndarray) -> np.ndarray:
    """float32 `[pictures, classes]`."""
    return np.asarray(features, np.float32) @ self.kernel + self.bias


class FeatureRows:
  """Some pictures of a feature matrix, a block at a time, in working precision.

  Args:
    features: `[n, d]`.
    targets: `[n]` or `[n, classes]`.
    at: indices of the pictures, ascending; None: all.
  """

  def __init__(self, features: np.ndarray, targets: np.ndarray, at: np.ndarray | None = None):
    self._features, self._targets, self._at = features, targets, at
    self.count = len(features) if at is None else len(at)
    self.width = features.shape[1]

  def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Raw features float32 `[m, d]` and their targets."""
    for start in range(0, self.count, _ROWS):
      at = slice(start, start + _ROWS) if self._at is None else self._at[start : start + _ROWS]
      yield np.asarray(self._features[at], np.float32), np.asarray(self._targets[at])


class Scale:
  """Mean and deviation of some pictures' features; calling it standardises `[m, d]`."""

  def __init__(self, rows: FeatureRows):
    mean, square = np.zeros(rows.width), np.zeros(rows.width)
    for x, _ in rows.blocks():
      mean += x.sum(0, dtype=np.float64) / rows.count
    for x, _ in rows.blocks():
      square += np.square(x - mean.astype(np.float32), dtype=np.float32).sum(0, dtype=np.float64)
    deviation = np.sqrt(square / rows.count)
    # A feature that never changes says nothing: it must not be blown up either.
    deviation[deviation < 1e-6 * max(1.0, float(deviation.max(initial=0.0)))] = 1.0
    self.mean, self.deviation = mean.astype(np.float32), deviation.astype(np.float32)

  def __call__(self, features: np.ndarray) -> np.ndarray:
    return (features - self.mean) / self.deviation

  def raw(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights for standardised features as weights for raw ones."""
    kernel = kernel / self.deviation[:, np.newaxis]
    return kernel.astype(np.float32), (bias - self.mean @ kernel).astype(np.float32)


def held_out(count: int, seed: int, fraction: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
  """(training, validation) indices: a seeded split for the choice of regularisation."""
  order = np.random.default_rng(seed).permutation(count)
  cut = max(1, int(round(count * fraction)))
  return np.sort(order[cut:]), np.sort(order[:cut])


def check(features: np.ndarray, targets: np.ndarray, classes: int) -> None:
  """Refuses what no probe can be fitted to.

  Raises:
    DataError: sizes differ, ids are out of range, or features are not finite.
  """
  if len(features) != len(targets) or len(features) < 2:
    raise DataError("probe", "features", f"{len(features)} features, {len(targets)} targets",
                    "as many of each, at least 2")
  if targets.ndim == 1 and not (0 <= targets.min() and targets.max() < classes):
    raise DataError("probe", "targets", f"ids {targets.min()} to {targets.max()}",
                    f"0 to {classes - 1}")
  for x, _ in FeatureRows(features, targets).blocks():
    if not np.isfinite(x).all():
      raise DataError("probe", "features", "values that are not finite", "numbers")


def agreement(scores: np.ndarray, targets: np.ndarray) -> float:
  """Top-1 accuracy; for multi-hot targets, how often the best class is a true one."""
  best = scores.argmax(1)
  if targets.ndim == 1:
    return float((best == targets).mean())
  return float(targets[np.arange(len(best)), best].mean())


def dense(targets: np.ndarray, classes: int) -> np.ndarray:
  """Targets as a multi-hot float32 matrix."""
  if targets.ndim == 2:
    return targets.astype(np.float32)
  matrix = np.zeros((len(targets), classes), np.float32)
  matrix[np.arange(len(targets)), targets] = 1.0
  return matrix


class _Moments:
  """Sums over pictures that ridge needs: X'X, X'Y and the mean of Y, on standardised X."""

  def __init__(self, rows: FeatureRows, classes: int, scale: Scale):
    self.xx, self.xy = np.zeros((rows.width, rows.width)), np.zeros((rows.width, classes))
    self.y, self._count = np.zeros(classes), rows.count
    for x, targets in rows.blocks():
      x, y = scale(x), dense(targets, classes)
      self.xx += x.T @ x
      self.xy += x.T @ y
      self.y += y.sum(0, dtype=np.float64) / rows.count
    # Standardised features have mean zero, so centring Y changes nothing else.

  def solutions(self, grid: Sequence[float]) -> Iterator[tuple[float, np.ndarray]]:
    """(strength, kernel) for each of the grid; one eigendecomposition serves all."""
    values, vectors = np.linalg.eigh(self.xx)
    projected = vectors.T @ self.xy
    for strength in grid:
      shrunk = np.maximum(values, 0) + strength * self._count
      yield strength, vectors @ (projected / shrunk[:, np.newaxis])


def ridge(features: np.ndarray, targets: np.ndarray, classes: int,
          grid: Sequence[float] = STRENGTHS, seed: int = 0) -> Probe:
  """Least squares on the targets with L2 regularisation, in closed form.

  Minimises |XW + b - Y|² / n + λ |W|² for every λ of the grid by one eigendecomposition, and
  keeps the λ whose held-out tenth agrees most; fitted on all afterwards. The held-out tenth also
  says how scores become logits (`calibration`).

  Args:
    features: `[n, d]`, float; may be a memory map.
    targets: int `[n]` or multi-hot `[n, classes]`.
    classes: number of classes.
    grid: of λ. One value needs no held-out part, and scores stay those of least squares.
    seed: of the held-out part.

  Raises:
    DataError: sizes differ, ids are out of range, or features are not finite.
  """
  targets = np.asanyarray(targets)
  check(features, targets, classes)
  best, gain, shift = grid[0], 1.0, 0.0
  if len(grid) > 1:
    best, gain, shift = _chosen(features, targets, classes, grid, seed)
  rows = FeatureRows(features, targets)
  scale = Scale(rows)
  moments = _Moments(rows, classes, scale)
  ((_, kernel),) = moments.solutions([best])
  kernel, bias = scale.raw(gain * kernel, gain * moments.y + shift)
  return Probe(f"ridge regression, closed form, λ {best:g}", kernel, bias, regularisation=best)


def _chosen(features, targets, classes: int, grid: Sequence[float],
            seed: int) -> tuple[float, float, float]:
  """The best λ on a tenth held out, and how its scores become logits."""
  train, validation = held_out(len(features), seed)
  rows = FeatureRows(features, targets, train)
  scale = Scale(rows)
  moments = _Moments(rows, classes, scale)
  x, wanted = scale(np.asarray(features[validation], np.float32)), np.asarray(targets[validation])
  best, best_scores, most = grid[0], np.zeros(0), -1.0
  for strength, kernel in moments.solutions(sorted(grid)):
    scores = x @ kernel + moments.y
    found = agreement(scores, wanted)
    if found >= most:  # of equals the stronger
      best, best_scores, most = strength, scores, found
  return best, *calibration.gain_and_shift(best_scores, wanted)


def shots(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
  """Indices of `per_class` pictures of each class (fewer where there are fewer), ascending."""
  rng = np.random.default_rng(seed)
  order = rng.permutation(len(labels))
  taken: dict[int, int] = {}
  picked = []
  for i in order:
    label = int(labels[i])
    if taken.get(label, 0) < per_class:
      taken[label] = taken.get(label, 0) + 1
      picked.append(i)
  return np.sort(np.asarray(picked, np.int64))
