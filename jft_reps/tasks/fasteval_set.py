"""FastEval as an evaluator: scores of a multi-label model on a densely labelled set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.metrics import fasteval


class FastEvalSet:
  """mAP@100 of one evaluation set (section 3 and 4.1; `metrics.fasteval` defines it).

  Args:
    name: of the set; its curves go to `eval_<name>/`.
    dataset: gives batches with `id`, `image` and `targets`, uint8 `[batch, num_classes]` with
      ancestors.
    num_classes: of the model.
    metric: further arguments of `fasteval.FastEval`.
  """

  def __init__(self, name: str, dataset: Callable[[], tf.data.Dataset], num_classes: int,
               metric: Mapping[str, Any]):
    self.name, self._dataset = name, dataset
    self._metric = fasteval.FastEval(num_classes, **metric)
    self.last: fasteval.Result | None = None

  def dataset(self) -> tf.data.Dataset:
    """Batches with `id`, `image` and `targets`."""
    return self._dataset()

  def predict(self, model: Any, batch: Mapping[str, Any]) -> tf.Tensor:
    """Float32 logits `[batch, num_classes]`."""
    return model(batch["image"], batch_norm="frozen")

  def update(self, ids: Sequence[str], predictions: np.ndarray, truth: Mapping[str, Any]) -> None:
    """Takes one batch's logits and targets."""
    self._metric.update(ids, predictions, truth["targets"])

  def result(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """Numbers by TensorBoard name; `last` holds the whole result with its definition."""
    found = self._metric.result(exclude_ids)
    if not exclude_ids:
      self.last = found
    return found.scalars("fasteval/")
