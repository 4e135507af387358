"""Evaluators of models that score every class of a picture: FastEval, mAP and top-k accuracy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from jft_reps.data.records import reasons
from jft_reps.metrics import fasteval, topk
from jft_reps.metrics.mistakes.confusion import Confusion
from jft_reps.metrics.mistakes.surest import Mistake

_MISTAKES = 1000  # of several labels a picture: those that are kept
_NAMED = 6  # labels of a picture of many that a list of mistakes names


class _ScoredSet:
  """One evaluation set and the logits of a `models.classifier.Classifier` on it.

  Args:
    name: of the set; its curves go to `eval_<name>/`.
    dataset: gives batches with `id`, `image` and `targets`.
  """

  def __init__(self, name: str, dataset: Callable[[], tf.data.Dataset]):
    self.name, self._dataset = name, dataset

  def dataset(self) -> tf.data.Dataset:
    """Batches with `id`, `image` and `targets`."""
    return self._dataset()

  def predict(self, model: Any, batch: Mapping[str, Any]) -> tf.Tensor:
    """Float32 logits `[batch, num_classes]`."""
    return model(batch["image"], batch_norm="frozen")


class FastEvalSet(_ScoredSet):
  """mAP@100 of one evaluation set (section 4.2; `metrics.fasteval` defines it).

  Args:
    name: of the set; its curves go to `eval_<name>/`.
    dataset: gives batches with `id`, `image` and `targets`, uint8 `[batch, num_classes]`.
    labels: class names, in class order.
    metric: further arguments of `fasteval.FastEval`.

  Attributes:
    last: the whole result that `result` gave last; its definition says what reading left out.
  """

  guess = "every picture alike: the commonest labels first, pictures in an order drawn by lot"

  def __init__(self, name: str, dataset: Callable[[], tf.data.Dataset], labels: Sequence[str],
               metric: Mapping[str, Any]):
    super().__init__(name, dataset)
    self._labels = tuple(labels)
    self._metric = fasteval.FastEval(len(self._labels), **metric)
    self._surest: list[tuple[float, str, int, np.ndarray]] = []  # logit, id, class, its labels
    self._has_leaves = "leaves" in (metric.get("groups") or {})
    self._dropped = np.zeros(reasons.COUNT, np.int64)
    self.last: fasteval.FastEvalResult | None = None

  def update(self, ids: Sequence[str], predictions: np.ndarray, truth: Mapping[str, Any]) -> None:
    """Takes one batch's logits and targets."""
    self._metric.update(ids, predictions, truth["targets"])
    absent = truth["targets"] == 0
    if "unknown_targets" in truth:
      absent &= truth["unknown_targets"] == 0
    logits = np.where(absent, predictions, -np.inf)
    best = logits.argmax(1)
    self._surest += [(float(logits[i, c]), picture, int(c), np.flatnonzero(truth["targets"][i]))
                     for i, (picture, c) in enumerate(zip(ids, best)) if absent[i, c]]
    self._surest = sorted(self._surest, key=lambda found: (-found[0], found[1]))[:_MISTAKES]
    if "dropped" in truth:
      self._dropped += truth["dropped"].sum(0)

  def result(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """Numbers by TensorBoard name."""
    found = self._metric.result(exclude_ids)
    if not exclude_ids:
      self.last = dataclasses.replace(
          found, definition=found.definition + self._leaves() + self._left_out(found.pictures))
    return self._scalars(found)

  def chance(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """What a scorer reaches that knows how common each class is and sees no picture.

    Not of groups: who has a hundred guesses a picture spends none on rare classes, and a network
    that knows nothing would seem to know these.
    """
    found = self._scalars(self._metric.guessing(exclude_ids))
    return {name: value for name, value in found.items() if "mAP" in name}

  def mistakes(self, most: int) -> list[Mistake]:
    """The surest classes that pictures are not labelled with, one a picture, after `result`."""
    assert self.last is not None
    counts = self.last.counts

    def named(classes: np.ndarray) -> str:
      # The rarest say most: of a hierarchy, those far below its root.
      rarest = classes[np.argsort(counts[classes], kind="stable")][:_NAMED]
      return "; ".join([*(self._labels[c] for c in rarest),
                        *(["…"] if len(classes) > _NAMED else [])])

    return [Mistake(picture, named(classes), self._labels[c], float(1 / (1 + np.exp(-logit))))
            for logit, picture, c, classes in self._surest[:most]]

  def _leaves(self) -> str:
    return ("; leaves: plain mean of AP over the classes with none below them in the hierarchy"
            if self._has_leaves else "")

  def _left_out(self, pictures: int) -> str:
    lost = int(self._dropped.sum())
    return "" if not lost else (f"; left out in reading: {lost:,} of {pictures + lost:,} records "
                                f"({reasons.text(self._dropped)})")

  def _scalars(self, found: fasteval.FastEvalResult) -> dict[str, float]:
    return found.scalars("fasteval/")


class MeanApSet(FastEvalSet):
  """mAP of a multi-label set: the plain mean over classes of AP over all pictures."""

  def __init__(self, name: str, dataset: Callable[[], tf.data.Dataset], labels: Sequence[str]):
    # With k the number of classes nothing is cut off, and AP is that of the whole ranking.
    super().__init__(name, dataset, labels,
                     {"k": len(labels), "class_weights": np.ones(len(labels))})

  def _scalars(self, found: fasteval.FastEvalResult) -> dict[str, float]:
    numbers = {"mAP": found.value, "pictures": float(found.pictures)}
    return {f"classification/{k}": v for k, v in numbers.items() if not np.isnan(v)}


class TopKSet(_ScoredSet):
  """Single-crop top-1 and top-5 accuracy (Table 1; `metrics.topk` defines it).

  Args:
    name: of the set; its curves go to `eval_<name>/`.
    dataset: gives batches with `id`, `image` and `targets`, int `[batch]`.
    labels: class names, in class order.

  Attributes:
    definition: one line that says what the numbers are.
  """

  definition = (f"{topk.definition((1, 5))}; class mean: of the top-1 of each class that the set "
                "has; single centre crop")
  guess = "the commonest classes of the set for every picture"

  def __init__(self, name: str, dataset: Callable[[], tf.data.Dataset], labels: Sequence[str]):
    super().__init__(name, dataset)
    self._metric, self._labels = topk.TopK((1, 5)), tuple(labels)
    self._ids: list[str] = []
    self._seen = [np.zeros((3, 0))]

  def update(self, ids: Sequence[str], predictions: np.ndarray, truth: Mapping[str, Any]) -> None:
    """Takes one batch's logits and class indices."""
    self._metric.update(ids, predictions, truth["targets"])
    self._ids += ids
    logits = np.asarray(predictions, np.float64)
    highest = logits.max(1, keepdims=True)
    # Softmax of the highest is one over the sum.
    self._seen.append(np.stack([truth["targets"], logits.argmax(1),
                                1 / np.exp(logits - highest).sum(1)]))

  def confusion(self) -> Confusion:
    """What was taken for what."""
    truth, predicted, confidence = np.concatenate(self._seen, 1)
    return Confusion(self._labels, tuple(self._ids), truth.astype(np.int64),
                     predicted.astype(np.int64), confidence)

  def chance(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """What naming the commonest classes of every picture gives."""
    found = self.confusion().guessing(exclude_ids)
    return {f"classification/{name}": value for name, value in found.items()}

  def mistakes(self, most: int) -> list[Mistake]:
    """The wrong pictures, the surest first."""
    return self.confusion().mistakes(most)

  def result(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """Numbers by TensorBoard name; warns where one class takes nearly all predictions."""
    found = self._metric.result(exclude_ids or ())
    if not exclude_ids and (warning := self.confusion().dominant()):
      logging.warning("%s: %s", self.name, warning)
    return {f"classification/{name}": value for name, value in found.items()}
