"""Labels of a batch to targets: which labels a picture is an example of, and of which not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.data.reading.label_noise import LabelNoise
from jft_reps.errors import ConfigError

NEGATIVES = ("all", "verified")
_NOISE = ("wrong", "missing", "seed")
Batch = Mapping[str, Any]


class LabelTargets:
  """Adds `targets` and `unknown_targets`, uint8 `[batch, classes]`, to batches of label lists.

  In training noise comes first, then the limit on confidence, then ancestors, then the reduction
  to `classes`; so two vocabularies are trained on the same noise.

  Args:
    num_classes: of the records.
    closure: `Hierarchy.closure()`, or None.
    classes: of the network; None: all.
    noise, negatives, min_confidence: see `tasks.pretrain.Pretrain`.

  Raises:
    ConfigError: one of the last three is none of what it may be.
  """

  def __init__(
      self, num_classes: int, closure: tuple[np.ndarray, np.ndarray] | None = None,
      classes: Sequence[int] | None = None, noise: Mapping[str, Any] | None = None,
      negatives: str = "all", min_confidence: float = 0.0):
    noise = noise or {}
    for key, value, fine, expected in (
        ("negatives", negatives, negatives in NEGATIVES, " or ".join(NEGATIVES)),
        ("min_confidence", min_confidence, 0.0 <= min_confidence <= 1.0, "a number from 0 to 1"),
        ("noise", sorted(noise), set(noise) <= set(_NOISE), "keys among " + ", ".join(_NOISE))):
      if not fine:
        raise ConfigError("config-value", f"config.task.{key}", repr(value), expected)
    self._expand = LabelExpansion(num_classes, closure, tf.uint8, classes)
    self._noise = LabelNoise(num_classes, closure=closure, **noise)
    self._verified, self._min_confidence = negatives == "verified", min_confidence

  def training(self, batch: Batch) -> dict[str, Any]:
    """The batch with what is learnt from it.

    Args:
      batch: `labels`, `unknown` int64 `[batch, k]` padded with -1, `confidence` float32
        `[batch, k]`, `id` string `[batch]`, with verified negatives also `absent` like `unknown`.
    """
    labels = self._noise(batch["labels"], batch["id"])
    if self._min_confidence:
      labels = tf.where(batch["confidence"] >= self._min_confidence, labels, -1)
    targets = self._expand(labels)
    unknown = (self._expand.unverified(labels, batch["absent"]) if self._verified
               else self._expand.unknown(targets, batch["unknown"]))
    return {**batch, "targets": targets, "unknown_targets": unknown}

  def evaluation(self, batch: Batch) -> dict[str, Any]:
    """The batch with all its labels as they are."""
    targets = self._expand(batch["labels"])
    unknown = self._expand.unknown(targets, batch["unknown"])
    return {**batch, "targets": targets, "unknown_targets": unknown}
