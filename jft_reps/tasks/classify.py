"""Image classification from scratch (section 4.1) or from a representation (5.1): Table 1."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.reading import order
from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.errors import ConfigError
from jft_reps.models import classifier
from jft_reps.ops import augmentation as augmentation_ops
from jft_reps.ops import losses
from jft_reps.task import Place
from jft_reps.tasks.backbone import Backbone
from jft_reps.tasks.evaluators.scores import MeanApSet, TopKSet
from jft_reps.tasks.fine_tuning import FineTuning
from jft_reps.tasks.inputs.pictures import PictureSets
from jft_reps.tasks.panels import labels

_BEST = 5  # predictions drawn beside a picture


class Classify(FineTuning[PictureSets]):
  """A ResNet with one dense layer over a flat vocabulary.

  Args:
    records: folder of the record sets; `labels.txt` beside them is the vocabulary.
    backbone: the network.
    train_split: name of the training split; None for evaluation only.
    eval_splits: each judged by top-1 and top-5 accuracy, multi-label ones by mAP.
    multi_label: pictures may have none or several labels; else exactly one, and a picture with
      another number is left out and counted.
    batch_norm: `train`: by the batch, moving statistics follow; `frozen`: by the statistics that
      came with the weights; `recalibrate`: by the statistics of this task's own pictures, taken
      once before the first step.
    recalibration_batches: training batches whose statistics those are.
    frozen_through: up to and with this stage nothing is trained; None: everything is.
    label_smoothing: share of the target spread over all classes; the paper has none.
    augmentation: arguments of `ops.augmentation.Augmentation`; None: crop and mirror alone, as in
      the paper.
    batch_size: per worker (32 in the paper).
    resize, crop: pictures are resized to `resize` square and cropped to `crop` (340 and 299).
    max_labels: of a multi-label picture; more is a reason to drop it.
    shuffle: encoded pictures in the shuffle buffer.
    eval_batch_size: pictures per evaluation batch.

  Attributes:
    labels: class ids in class order.
    best: the number whose best checkpoint is kept.
  """

  def __init__(
      self, records: str | os.PathLike[str], backbone: Backbone,
      train_split: str | None = "train", eval_splits: Sequence[str] = ("validation",),
      multi_label: bool = False, batch_norm: str = "train", recalibration_batches: int = 50,
      frozen_through: str | None = None, label_smoothing: float = 0.0, batch_size: int = 32,
      resize: int = 340, crop: int = 299, max_labels: int = 64, shuffle: int = order.SHUFFLE,
      eval_batch_size: int = 64, augmentation: Mapping[str, float] | None = None):
    sets = PictureSets(
        records, train_split, eval_splits, None, batch_size, eval_batch_size, resize, crop,
        max_labels if multi_label else 1, max_labels if multi_label else 1, shuffle,
        keep_empty=multi_label)
    super().__init__(sets, batch_norm, frozen_through, recalibration_batches)
    self.labels = sets.labels
    self.best = "classification/mAP" if multi_label else "classification/top1"
    self._expand = LabelExpansion(len(self.labels), dtype=tf.uint8) if multi_label else None
    self._backbone, self._smoothing = backbone, label_smoothing
    self._augmentation = _augmentation(augmentation or {})

  @property
  def notes(self) -> dict[str, Any]:
    """What every checkpoint says of its pictures, network and labels."""
    return {**self._backbone.notes(self._sets.pictures), "labels": list(self.labels)}

  def build(self) -> classifier.Classifier:
    """The network with random weights."""
    prior = None if self._expand is None else 1.0 / len(self.labels)
    return classifier.Classifier(
        self._backbone.build(), len(self.labels), shards=1, prior=prior)

  def train_dataset(self, place: Place) -> tf.data.Dataset:
    """Endless batches with `image` (uint8) and `targets`: class indices int64 `[batch]`, or uint8
    `[batch, classes]` where pictures have several."""
    augment = functools.partial(self._augmented, seed=place.seed)
    return self._sets.train_batches(place, lambda batch: augment(self._with_targets(batch)))

  def eval_dataset(self, split: str) -> tf.data.Dataset:
    """Every picture of a split once, the training split too: centre crops with `targets`."""
    return self._sets.eval_batches(split, self._with_targets)

  def size(self, split: str) -> int:
    """Records of a split."""
    return self._sets.record_set(split).records

  def feature_key(self, split: str) -> dict[str, Any]:
    """What features of a split depend on besides the weights, and what stands beside them."""
    return {"records": self._sets.fingerprint(split), "pictures": self._sets.pictures,
            "backbone": dataclasses.asdict(self._backbone), **self._backbone.notes({}),
            "classes": len(self.labels), "several labels": self._expand is not None}

  def _with_targets(self, batch: dict[str, Any]) -> dict[str, Any]:
    if self._expand is None:
      return {**batch, "targets": batch["labels"][:, 0]}
    targets = self._expand(batch["labels"])
    unknown = self._expand.unknown(targets, batch["unknown"])
    return {**batch, "targets": targets, "unknown_targets": unknown}

  def _augmented(self, batch: dict[str, Any], seed: int) -> dict[str, Any]:
    """A training batch, its pictures changed; `share` is how much each weighs in its pair."""
    how = self._augmentation
    if how == augmentation_ops.Augmentation():
      return batch
    # Of the first picture's epoch, shard and record: the same batch wherever a run resumed.
    epoch, shard, record = tf.unstack(batch["position"][0])
    place = tf.stack([tf.cast(seed, tf.int64) * 1_000_003 + epoch, shard * 1_000_003 + record])
    batch = {**batch, "image": how.pictures(batch["image"], place)}
    if not how.mixup:
      return batch
    share = how.blend(place)
    return {**batch, "image": augmentation_ops.mixed(batch["image"], share), "share": share}

  def loss(self, model, batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Softmax cross entropy; of several labels, the logistic loss summed over known ones."""
    logits = model(batch["image"], batch_norm=self._mode, frozen_through=self._frozen_through)
    targets = batch["targets"]
    if self._expand is not None:
      unknown = batch["unknown_targets"]
      loss = _of_pairs(batch, lambda turn: losses.sigmoid_cross_entropy(
          logits, turn(targets), turn(unknown)))
      return loss, {"loss/classification": loss}
    loss = _of_pairs(batch, lambda turn: losses.softmax_cross_entropy(
        logits, turn(targets), self._smoothing))
    right = tf.equal(tf.argmax(logits, 1), targets)
    return loss, {"loss/classification": loss,
                  "train/top1": tf.reduce_mean(tf.cast(right, tf.float32))}

  def evaluators(self) -> list[TopKSet | MeanApSet]:
    """Accuracy or mAP on each evaluation split."""
    datasets = {s: functools.partial(self.eval_dataset, s) for s in self._sets.eval_splits}
    if self._expand is not None:
      return [MeanApSet(split, dataset, self.labels) for split, dataset in datasets.items()]
    return [TopKSet(split, dataset, self.labels) for split, dataset in datasets.items()]

  def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
    """How likely each class is, from logits `[batch, classes]`."""
    return tf.nn.softmax(logits) if self._expand is None else tf.sigmoid(logits)

  def pictures(self, model, batch) -> dict[str, np.ndarray]:
    """Up to eight pictures with their labels left and the best predictions right."""
    images, targets = np.asarray(batch["image"])[:8], np.asarray(batch["targets"])[:8]
    logits = model(tf.constant(images), batch_norm="frozen")
    probabilities = self.probabilities(logits).numpy()
    present = targets[:, np.newaxis] if self._expand is None else map(np.flatnonzero, targets)
    truth = [[self.labels[c] for c in classes] for classes in present]
    best = [[(self.labels[c], float(row[c])) for c in np.argsort(-row, kind="stable")[:_BEST]]
            for row in probabilities]
    return {"labels": labels.panels(images, truth, best)}


def _augmentation(arguments: Mapping[str, float]) -> augmentation_ops.Augmentation:
  try:
    return augmentation_ops.Augmentation(**arguments)
  except TypeError as error:
    raise ConfigError("config-key", "config.task.augmentation", str(error),
                      "colour, zoom and mixup") from error


def _of_pairs(batch: Mapping[str, Any],
              loss: Callable[[Callable[[tf.Tensor], tf.Tensor]], tf.Tensor]) -> tf.Tensor:
  """A loss of targets; of blended pictures, of both targets by how much each weighs."""
  own = loss(lambda targets: targets)
  if "share" not in batch:
    return own
  share = tf.reshape(batch["share"], [-1])[0]
  return share * own + (1 - share) * loss(lambda targets: tf.roll(targets, -1, 0))


create = Classify
