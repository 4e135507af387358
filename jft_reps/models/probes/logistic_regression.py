"""A linear classifier on frozen features: logistic regression by L-BFGS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jft_reps.models.probes.linear_probe import (
  FeatureRows,
  Probe,
  Scale,
  agreement,
  check,
  held_out,
)

_ROUNDING = 1e-5  # of a gradient whose products are in single precision


def logistic(features: np.ndarray, targets: np.ndarray, classes: int,
             grid: Sequence[float] = (1e-4,), seed: int = 0, tolerance: float = 1e-4,
             most: int = 200) -> Probe:
  """Logistic regression by L-BFGS: softmax for class ids, one sigmoid per class for multi-hot.

  Minimises the mean cross entropy + λ/2 |W|², the bias left free, until no component of the
  gradient exceeds `tolerance`.

  Args:
    features, targets, classes, seed: as in `linear_probe.ridge`.
    grid: of λ; of several, each is tried on a held-out tenth, from the one before.
    tolerance: of the gradient's largest component. Products are in single precision, whose
      rounding may end the search first; it has converged where that is below 1e-5.
    most: iterations.
  """
  targets = np.asanyarray(targets)
  check(features, targets, classes)
  start, best = None, grid[0]
  if len(grid) > 1:
    train, validation = held_out(len(features), seed)
    rows, found = FeatureRows(features, targets, train), []
    scale, wanted = Scale(rows), np.asarray(targets[validation])
    x = scale(np.asarray(features[validation], np.float32))
    for strength in sorted(grid, reverse=True):
      start, _ = _fit(rows, scale, classes, strength, tolerance, most, start)
      found.append((agreement(x @ start[:-1] + start[-1], wanted), strength))
    best = max(found)[1]
  rows = FeatureRows(features, targets)
  scale = Scale(rows)
  weights, outcome = _fit(rows, scale, classes, best, tolerance, most, start)
  rounded = not outcome.success and float(np.abs(outcome.jac).max()) <= _ROUNDING
  converged = bool(outcome.success) or rounded
  how = ("converged to single precision" if rounded else
         "converged" if converged else f"stopped: {outcome.message}")
  return Probe(
      f"logistic regression, L-BFGS, λ {best:g}, {outcome.nit} iterations, {how}",
      *scale.raw(weights[:-1], weights[-1]), regularisation=best, iterations=outcome.nit,
      converged=converged)


def _fit(rows: FeatureRows, scale: Scale, classes: int, strength: float, tolerance: float,
         most: int, start: np.ndarray | None):
  """Weights `[d + 1, classes]`, the bias last, and scipy's account of the search."""
  from scipy import optimize

  shape = (rows.width + 1, classes)

  def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
    weights = flat.reshape(shape).astype(np.float32)
    total, gradient = 0.0, np.zeros(shape)
    for x, targets in rows.blocks():
      x = scale(x)
      loss, slope = _cross_entropy(x @ weights[:-1] + weights[-1], targets)
      total += loss
      gradient[:-1] += x.T @ slope
      gradient[-1] += slope.sum(0, dtype=np.float64)
    penalty = flat.reshape(shape)[:-1]
    gradient /= rows.count
    gradient[:-1] += strength * penalty
    return total / rows.count + strength / 2 * float((penalty**2).sum()), gradient.ravel()

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
