"""Seconds to solve linear probes at ImageNet's size, and accuracy against scikit-learn's.

  python -m experiments.benchmarks.probe_speed [--pictures=50000] [--features=2048] [--classes=1000]

Features are made: non-negative and sparse as pooled conv5 is, with classes that overlap. The
large case is timed: ridge over a grid of nine strengths in closed form, logistic regression by
L-BFGS to its tolerance. The small one is solved by scikit-learn too, at the same strength, and
accuracy on fresh pictures is compared. Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from jft_reps import program
from jft_reps.models.probes import linear_probe, logistic_regression

FLAGS = flags.FlagValues()
flags.DEFINE_integer("pictures", 50_000, "Of the large case.", flag_values=FLAGS)
flags.DEFINE_integer("features", 2048, "Of the large case.", flag_values=FLAGS)
flags.DEFINE_integer("classes", 1000, "Of the large case.", flag_values=FLAGS)

_BARS = {"ridge_seconds": 60, "logistic_seconds": 600, "points_from_scikit_learn": 0.5}
_STRENGTH = 1e-3


def made(count: int, d: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
  """Features float32 `[count, d]` and labels `[count]`; the classes are the same for any seed."""
  centres = np.random.default_rng(1).normal(0, 0.5, (classes, d)).astype(np.float32)
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, classes, count)
  features = np.empty((count, d), np.float32)
  for start in range(0, count, 4096):
    at = slice(start, start + 4096)
    noise = rng.standard_normal((len(labels[at]), d), np.float32)
    features[at] = np.maximum(centres[labels[at]] + 2.0 * noise - 0.5, 0)
  return features, labels


def timed(function, *arguments, **options) -> tuple[linear_probe.Probe, float]:
  start = time.perf_counter()
  found = function(*arguments, **options)
  return found, time.perf_counter() - start


def against_scikit_learn() -> dict[str, float]:
  """Accuracy in percent on fresh pictures, ours and scikit-learn's, of 5,000 × 256, 50 classes."""
  from sklearn import linear_model, preprocessing

  x, labels = made(5000, 256, 50, 2)
  test_x, test_labels = made(5000, 256, 50, 3)
  ours = logistic_regression.logistic(x, labels, 50, grid=(_STRENGTH,))
  scaler = preprocessing.StandardScaler().fit(x)
  theirs = linear_model.LogisticRegression(C=1 / (_STRENGTH * len(x)), max_iter=2000, tol=1e-6)
  theirs.fit(scaler.transform(x), labels)
  return {"ours": 100 * linear_probe.agreement(ours.scores(test_x), test_labels),
          "scikit_learn": 100 * theirs.score(scaler.transform(test_x), test_labels)}


def main(argv: Sequence[str]) -> int:
  program.parse(FLAGS, argv, __doc__)
  small = against_scikit_learn()
  x, labels = made(FLAGS.pictures, FLAGS.features, FLAGS.classes, 0)
  test_x, test_labels = made(5000, FLAGS.features, FLAGS.classes, 4)
  ridge, ridge_seconds = timed(linear_probe.ridge, x, labels, FLAGS.classes)
  logistic, logistic_seconds = timed(logistic_regression.logistic, x, labels, FLAGS.classes,
                                     grid=(_STRENGTH,))
  accuracy = {name: round(100 * linear_probe.agreement(probe.scores(test_x), test_labels), 2)
              for name, probe in (("ridge", ridge), ("logistic", logistic))}
  found = {"ridge_seconds": round(ridge_seconds, 1), "logistic_seconds": round(logistic_seconds, 1),
           "points_from_scikit_learn": round(abs(small["ours"] - small["scikit_learn"]), 3)}
  print(json.dumps({
      "benchmark": "probe_speed", **found, "bars": _BARS, "converged": logistic.converged,
      "methods": [ridge.method, logistic.method], "accuracy": accuracy, "small": small}))
  return int(any(found[k] > _BARS[k] for k in found) or not logistic.converged)


if __name__ == "__main__":
  sys.exit(program.run(main))
