"""Linear classifiers on frozen features: ridge in closed form, logistic regression by L-BFGS.

Both take features `[pictures, d]` and targets that are class ids `[pictures]` or a multi-hot
matrix `[pictures, classes]`, standardise the features by the training set, and choose their
regularisation on a part of it held out. A probe says which of the two it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from jft_reps.errors import DataError

_ROWS = 8192  # of features held in working precision at a time


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


@dataclasses.dataclass(frozen=True)
class _Scale:
  """Mean and deviation of the training features."""

  mean: np.ndarray
  deviation: np.ndarray

  def __call__(self, features: np.ndarray) -> np.ndarray:
    return (np.asarray(features, np.float32) - self.mean) / self.deviation

  def raw(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights for standardised features as weights for raw ones."""
    kernel = kernel / self.deviation[:, np.newaxis]
    return kernel.astype(np.float32), (bias - self.mean @ kernel).astype(np.float32)


def _scale(features: np.ndarray) -> _Scale:
  mean = np.mean(features, 0, dtype=np.float64)
  deviation = np.sqrt(np.maximum(np.var(features, 0, dtype=np.float64), 0))
  # A feature that never changes says nothing: it must not be blown up either.
  deviation[deviation < 1e-6 * max(1.0, float(deviation.max(initial=0.0)))] = 1.0
  return _Scale(mean.astype(np.float32), deviation.astype(np.float32))


def held_out(count: int, seed: int, fraction: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
  """(training, validation) indices: a seeded split for the choice of regularisation."""
  order = np.random.default_rng(seed).permutation(count)
  cut = max(1, int(round(count * fraction)))
  return np.sort(order[cut:]), np.sort(order[:cut])


def _rows(targets: np.ndarray, classes: int, at: slice | np.ndarray) -> np.ndarray:
  """Targets of some pictures as a multi-hot float32 matrix."""
  part = targets[at]
  if part.ndim == 2:
    return part.astype(np.float32)
  dense = np.zeros((len(part), classes), np.float32)
  dense[np.arange(len(part)), part] = 1.0
  return dense


def _check(features: np.ndarray, targets: np.ndarray, classes: int) -> None:
  if len(features) != len(targets) or len(features) < 2:
    raise DataError("probe", "features", f"{len(features)} features, {len(targets)} targets",
                    "as many of each, at least 2")
  if targets.ndim == 1 and not (0 <= targets.min() and targets.max() < classes):
    raise DataError("probe", "targets", f"ids {targets.min()} to {targets.max()}",
                    f"0 to {classes - 1}")
  for start in range(0, len(features), _ROWS):
    if not np.isfinite(features[start : start + _ROWS]).all():
      raise DataError("probe", "features", "values that are not finite", "numbers")


def agreement(scores: np.ndarray, targets: np.ndarray) -> float:
  """Top-1 accuracy; for multi-hot targets, how often the best class is a true one."""
  best = scores.argmax(1)
  if targets.ndim == 1:
    return float((best == targets).mean())
  return float(targets[np.arange(len(best)), best].mean())


class _Moments:
  """Sums over pictures that ridge needs: X'X, X'Y and the mean of Y, on standardised X."""

  def __init__(self, features, targets, classes: int, scale: _Scale):
    d = features.shape[1]
    self.xx, self.xy = np.zeros((d, d)), np.zeros((d, classes))
    self.y = np.zeros(classes)
    for start in range(0, len(features), _ROWS):
      at = slice(start, start + _ROWS)
      x, y = scale(features[at]), _rows(targets, classes, at)
      self.xx += x.T @ x
      self.xy += x.T @ y
      self.y += y.sum(0, dtype=np.float64)
    self.y /= len(features)
    # Standardised features have mean zero, so centring Y changes nothing else.

  def solutions(self, grid: Sequence[float], count: int):
    """(regularisation, kernel) for each of the grid; one eigendecomposition serves all."""
    values, vectors = np.linalg.eigh(self.xx)
    projected = vectors.T @ self.xy
    for strength in grid:
      yield strength, vectors @ (projected / (np.maximum(values, 0) + strength * count)[:, None])


def ridge(features: np.ndarray, targets: np.ndarray, classes: int,
          grid: Sequence[float] = tuple(10.0 ** k for k in range(-6, 3)), seed: int = 0) -> Probe:
  """Least squares on the targets with L2 regularisation, in closed form.

  Minimises |XW + b - Y|² / n + λ |W|² for every λ of the grid by one eigendecomposition, and
  keeps the λ whose held-out tenth agrees most; fitted on all afterwards.

  Args:
    features: `[n, d]`, float; may be a memory map.
    targets: int `[n]` or multi-hot `[n, classes]`.
    classes: number of classes.
    grid: of λ. One value needs no held-out part.
    seed: of the held-out part.

  Raises:
    DataError: sizes differ, ids are out of range, or features are not finite.
  """
  targets = np.asarray(targets)
  _check(features, targets, classes)
  best = grid[0]
  if len(grid) > 1:
    train, validation = held_out(len(features), seed)
    scale = _scale(features[train])
    moments = _Moments(features[train], targets[train], classes, scale)
    x = scale(features[validation])
    found = [(agreement(x @ kernel + moments.y, targets[validation]), strength)
             for strength, kernel in moments.solutions(grid, len(train))]
    best = max(found)[1]
  scale = _scale(features)
  moments = _Moments(features, targets, classes, scale)
  ((_, kernel),) = moments.solutions([best], len(features))
  return Probe(f"ridge regression, closed form, λ {best:g}", *scale.raw(kernel, moments.y),
               regularisation=best)


def logistic(features: np.ndarray, targets: np.ndarray, classes: int,
             grid: Sequence[float] = (1e-4,), seed: int = 0, tolerance: float = 1e-4,
             most: int = 200) -> Probe:
  """Logistic regression by L-BFGS: softmax for class ids, one sigmoid per class for multi-hot.

  Minimises the mean cross entropy + λ/2 |W|², the bias left free, until no component of the
  gradient exceeds `tolerance`.

  Args:
    features, targets, classes, seed: as in `ridge`.
    grid: of λ; with several, each is tried on a held-out tenth, from the one before.
    tolerance: of the gradient's largest component.
    most: iterations.
  """
  targets = np.asarray(targets)
  _check(features, targets, classes)
  start, best = None, grid[0]
  if len(grid) > 1:
    train, validation = held_out(len(features), seed)
    scale, found = _scale(features[train]), []
    x = scale(features[validation])
    for strength in sorted(grid, reverse=True):
      start, _ = _fit(scale(features[train]), targets[train], classes, strength, tolerance, most,
                      start)
      found.append((agreement(x @ start[:-1] + start[-1], targets[validation]), strength))
    best = max(found)[1]
  scale = _scale(features)
  weights, outcome = _fit(scale(features), targets, classes, best, tolerance, most, start)
  how = "converged" if outcome.success else f"stopped: {outcome.message}"
  return Probe(
      f"logistic regression, L-BFGS, λ {best:g}, {outcome.nit} iterations, {how}",
      *scale.raw(weights[:-1], weights[-1]), regularisation=best, iterations=outcome.nit,
      converged=bool(outcome.success))


def _fit(x: np.ndarray, targets: np.ndarray, classes: int, strength: float, tolerance: float,
         most: int, start: np.ndarray | None):
  """Weights `[d + 1, classes]`, the bias last, and scipy's account of the search."""
  from scipy import optimize

  shape = (x.shape[1] + 1, classes)

  def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
    weights = flat.reshape(shape).astype(np.float32)
    total, gradient = 0.0, np.zeros(shape)
    for begin in range(0, len(x), _ROWS):
      at = slice(begin, begin + _ROWS)
      loss, slope = _cross_entropy(x[at] @ weights[:-1] + weights[-1], targets[at])
      total += loss
      gradient[:-1] += x[at].T @ slope
      gradient[-1] += slope.sum(0, dtype=np.float64)
    penalty = flat.reshape(shape)[:-1]
    gradient /= len(x)
    gradient[:-1] += strength * penalty
    return total / len(x) + strength / 2 * float((penalty**2).sum()), gradient.ravel()

  first = np.zeros(shape) if start is None else start
  outcome = optimize.minimize(objective, first.ravel(), jac=True, method="L-BFGS-B",
                              options={"maxiter": most, "maxfun": 2 * most, "gtol": tolerance,
                                       "ftol": 1e-9})
  return outcome.x.reshape(shape), outcome


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
  """Summed loss of some pictures and its gradient by the logits, which are overwritten."""
  if targets.ndim == 2:
    loss = np.logaddexp(0, logits) - targets * logits
    slope = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    return float(loss.sum(dtype=np.float64)), slope - targets.astype(np.float32)
  rows = np.arange(len(logits))
  logits -= logits.max(1, keepdims=True)
  own = logits[rows, targets]
  np.exp(logits, out=logits)
  norm = logits.sum(1)
  loss = (np.log(norm) - own).sum(dtype=np.float64)
  logits /= norm[:, np.newaxis]
  logits[rows, targets] -= 1.0
  return float(loss), logits


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
