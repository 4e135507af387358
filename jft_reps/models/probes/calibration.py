"""Scores to logits: least-squares scores rank classes, but their softmax is nearly flat.

A gain for all classes, and for several labels a shift, are chosen by likelihood on pictures held
out (Platt 1999; Guo et al. 2017, arXiv:1706.04599, "temperature"). The ranking of a picture's
classes stays as it is.
"""

from __future__ import annotations

import numpy as np

_LOG_GAIN = (-2.0, 6.0)  # scores that separate the held-out pictures would ask for no end of gain


def gain_and_shift(scores: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
  """(a, b) such that a · score + b are logits.

  Args:
    scores: `[n, classes]` of pictures that were held out.
    targets: class indices `[n]` (softmax; b is 0), or multi-hot `[n, classes]` (sigmoids).
  """
  from scipy import optimize

  scores = np.asarray(scores, np.float64)
  if targets.ndim == 1:
    found = optimize.minimize_scalar(
        lambda log_gain: _softmax_loss(np.exp(log_gain) * scores, targets), bounds=_LOG_GAIN,
        method="bounded")
    return float(np.exp(found.x)), 0.0
  wanted = targets.astype(np.float64)

  def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
    gained = np.exp(x[0]) * scores
    logits = gained + x[1]
    slope = 1 / (1 + np.exp(-np.clip(logits, -60, 60))) - wanted
    value = np.mean(np.logaddexp(0, logits) - wanted * logits)
    return float(value), np.array([np.mean(slope * gained), np.mean(slope)])

  prior = np.clip(wanted.mean(), 1e-6, 1 - 1e-6)
  found = optimize.minimize(loss, [0.0, np.log(prior / (1 - prior))], jac=True, method="L-BFGS-B",
                            bounds=[_LOG_GAIN, (-40, 40)])
  return float(np.exp(found.x[0])), float(found.x[1])


def _softmax_loss(logits: np.ndarray, labels: np.ndarray) -> float:
  logits = logits - logits.max(1, keepdims=True)
  own = np.take_along_axis(logits, labels[:, np.newaxis], 1)[:, 0]
  return float(np.mean(np.log(np.exp(logits).sum(1)) - own))
