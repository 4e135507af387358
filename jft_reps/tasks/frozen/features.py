"""Frozen features of a classification task: a linear probe and few-shot accuracy on them.

The backbone stays as it is; pooled conv5 features of every picture are computed once and kept
(`cache`), and a linear classifier is solved on them (`models.probes.linear_probe`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from jft_reps.data.records import reasons
from jft_reps.errors import ConfigError
from jft_reps.metrics import topk
from jft_reps.models import classifier
from jft_reps.models.probes import linear_probe, logistic_regression
from jft_reps.models.variables import Slices, named_variables
from jft_reps.tasks.frozen import cache

METHODS = {"ridge": linear_probe.ridge, "logistic": logistic_regression.logistic}
HELD_OUT_FROM = 5  # pictures per class from which a tenth is held out to choose the strength


@dataclasses.dataclass(frozen=True)
class ProbeOptions:
  """How a probe is fitted.

  Attributes:
    method: `ridge` (closed form) or `logistic` (L-BFGS).
    grid: of the L2 strength, chosen on a tenth of the training pictures; empty: the method's (ridge
      nine from 1e-6 to 1e2, logistic regression 1e-4 alone).
    shots: pictures per class of the few-shot probes (1, 5, 10, 25); empty: none.
    seeds: draws of those pictures, 0 to `seeds` - 1.
    few_shot_strength: L2 strength with fewer than `HELD_OUT_FROM` pictures per class.
    seed: of the part held out.
  """

  method: str = "ridge"
  grid: Sequence[float] = ()
  shots: Sequence[int] = (1, 5, 10, 25)
  seeds: int = 3
  few_shot_strength: float = 0.1
  seed: int = 0

  def __post_init__(self):
    if self.method not in METHODS:
      raise ConfigError("config-value", "config.probe.method", repr(self.method),
                        " or ".join(METHODS))
    if min(self.shots, default=1) < 1 or self.seeds < 1:
      raise ConfigError("config-value", "config.probe", f"shots {tuple(self.shots)}, seeds "
                        f"{self.seeds}", "numbers from 1")


def embedder(model: classifier.Classifier) -> Callable[[tf.Tensor], tf.Tensor]:
  """Pooled conv5 features of a batch of pictures; tracing it takes seconds, so keep it."""
  return tf.function(lambda images: model.embed(images, "frozen"), reduce_retracing=True)


def extract(task: Any, model: classifier.Classifier, split: str, folder: Any,
            progress: Callable[[int], None] = lambda done: None,
            embed: Callable[[tf.Tensor], tf.Tensor] | None = None) -> cache.Features:
  """Features of every picture of a split, from the cache where weights and pictures are the same.

  Args:
    task: a `tasks.classify.Classify`.
    model: of `task.build()`, with its weights.
    split: name of a record set, the training split too.
    folder: of the cache.
    progress: called with the number of pictures done.
    embed: `embedder(model)`, where it serves several splits.
  """
  key = {"weights": fingerprint(model.backbone), **task.feature_key(split)}
  return cache.cached(
      folder, split, key, lambda: batches(embed or embedder(model), task.eval_dataset(split)),
      progress)


def batches(embed: Callable[[tf.Tensor], tf.Tensor],
            dataset: tf.data.Dataset) -> Iterator[cache.Batch]:
  """(ids, features, targets) of each batch, while the next one is being read."""
  dropped = np.zeros(reasons.COUNT, np.int64)
  for batch in dataset:
    dropped += batch["dropped"].numpy().sum(0)
    ids = [i.decode("utf-8", "backslashreplace") for i in batch["id"].numpy().tolist()]
    yield ids, embed(batch["image"]).numpy(), batch["targets"].numpy()
  if dropped.any():
    logging.warning("features: left out %d records: %s", dropped.sum(), reasons.text(dropped))


def fingerprint(module: tf.Module) -> str:
  """SHA-256 of every variable of a module, in order of its path."""
  digest = hashlib.sha256()
  for path, item in sorted(named_variables(module).items()):
    digest.update(path.encode())
    for part in item.parts if isinstance(item, Slices) else (item,):
      digest.update(np.ascontiguousarray(part.numpy()).tobytes())
  return digest.hexdigest()


def fit(features: cache.Features, classes: int, options: ProbeOptions) -> linear_probe.Probe:
  """The linear classifier of some training features."""
  return METHODS[options.method](
      features.values, features.targets, classes, seed=options.seed, **_grid(options))


def _grid(options: ProbeOptions) -> dict[str, Any]:
  return {"grid": tuple(options.grid)} if options.grid else {}


def edge(probe: linear_probe.Probe, options: ProbeOptions) -> str:
  """A warning if the strength that was chosen is the least or the greatest that was tried."""
  tried = tuple(options.grid) or {"ridge": linear_probe.STRENGTHS}.get(options.method, ())
  if len(tried) < 2 or min(tried) < probe.regularisation < max(tried):
    return ""
  which = "least" if probe.regularisation <= min(tried) else "greatest"
  return (f"λ {probe.regularisation:g} is the {which} of the {len(tried)} tried: a better one may "
          "lie beyond; see config.probe.grid")


def install(probe: linear_probe.Probe, model: classifier.Classifier) -> None:
  """Makes a probe the model's classifier: logits are then its scores."""
  for item, value in ((model.head.kernel, probe.kernel), (model.head.bias, probe.bias)):
    start = 0
    for part in item.parts:
      size = part.shape[item.axis]
      part.assign(np.take(value, range(start, start + size), item.axis))
      start += size


def few_shot(train: cache.Features, test: cache.Features, classes: int,
             options: ProbeOptions) -> dict[str, dict[str, Any]]:
  """Top-1 of ridge probes on few pictures per class, by name: mean, deviation and every draw.

  Args:
    train: where the pictures are drawn from; targets are class indices.
    test: where accuracy is counted.
    classes: number of classes.
    options: shots, seeds and strength.
  """
  labels, found = np.asarray(train.targets), {}
  for shots in options.shots:
    accuracies = []
    for seed in range(options.seeds):
      picked = linear_probe.shots(labels, shots, seed)
      grid = _grid(options) if shots >= HELD_OUT_FROM else {"grid": (options.few_shot_strength,)}
      probe = linear_probe.ridge(
          train.values[picked], labels[picked], classes, seed=options.seed, **grid)
      accuracies.append(float(topk.hits(probe.scores(test.values), test.targets, 1).mean()))
    spread = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0
    found[f"{shots}-shot top1"] = {
        "mean": float(np.mean(accuracies)), "deviation": spread, "draws": accuracies,
        "pictures": len(picked)}
  return found
