"""Pre-training on noisy multi-label pictures: sections 3 and 4.1 of the paper."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.hierarchy import readers
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.reading import order
from jft_reps.data.records import reasons
from jft_reps.errors import DataError
from jft_reps.metrics import class_weights as class_weights_lib
from jft_reps.metrics import fasteval
from jft_reps.models import classifier
from jft_reps.models.variables import named_variables, trainable_variables
from jft_reps.ops import losses
from jft_reps.task import Place
from jft_reps.tasks.backbone import Backbone
from jft_reps.tasks.evaluators.scores import FastEvalSet
from jft_reps.tasks.inputs.label_targets import LabelTargets
from jft_reps.tasks.inputs.pictures import PictureSets
from jft_reps.tasks.panels import labels

_BEST = 5  # predictions drawn beside a picture
_UNCOUNTED_PRIOR = 1e-3  # where a model is built whose weights come from elsewhere


class Pretrain:
  """A ResNet with a sharded classifier over a hierarchical vocabulary.

  Args:
    records: folder of the record sets.
    backbone: the network.
    train_split: name of the training split; None for evaluation only.
    eval_splits: densely labelled splits, each judged by FastEval.
    hierarchy: file of the label hierarchy, whose order is the class order; None: no hierarchy,
      the classes are those of `labels.txt` beside the records.
    hierarchy_format: `mlimages`, `openimages`, `edges` or `is_a`.
    classifier_shards: column shards of the last layer (50 in the paper).
    batch_size: per worker (32 in the paper).
    resize, crop: pictures are resized to `resize` square and cropped to `crop` (340 and 299).
    prior: probability the classifier's bias starts at: a number, or `records` for each class's
      share of the training pictures that say something of it, in a sample.
    class_weights: CSV of class prevalence for FastEval; None: the evaluation set's own.
    k, restrict, reading: see `metrics.fasteval.FastEval`.
    max_labels, eval_max_labels: labels per training and evaluation picture before expansion; more
      is a reason to drop it.
    eval_classes: file with the ids of the classes that FastEval evaluates, one per line (about
      6,000 of 18,291 in the paper); None: all. Those outside of `classes` are passed over.
    shuffle: encoded pictures in the shuffle buffer.
    eval_batch_size: pictures per evaluation batch.
    reduction: of the loss over classes, `sum_classes` or `mean`.
    prior_sample: training pictures looked at for the prior.
    classes: file with the ids of a reduced vocabulary, one per line (941 of 18,291 in Table 5):
      the classes of the network, in this order. A label outside of them counts as its ancestors
      among them, if there are any. None: all.
    noise: `wrong`, `missing` and `seed` of `data.reading.label_noise.LabelNoise`, laid over the
      labels of training pictures before ancestors are added; evaluation keeps the labels as they
      are.
    negatives: which labels a training picture is a negative example of. `all`: those that are
      neither present nor listed as unknown, as in the paper. `verified`: only those that the
      record lists as verified absent, and all below them; all others but the positives have
      neither loss nor gradient.
    min_confidence: labels of training pictures with a lower confidence are taken as not given,
      so with `negatives="all"` they are negative; 0: every label counts, as in the paper.

  Attributes:
    labels: class ids of the network in class order.
    names: of the classes, as the hierarchy has them.
    best: the number whose best checkpoint is kept.
  """

  reasons = reasons.NAMES

  def __init__(
      self, records: str | os.PathLike[str], backbone: Backbone,
      train_split: str | None = "train", eval_splits: Sequence[str] = ("fasteval",),
      hierarchy: str | None = None, hierarchy_format: str = "edges", classifier_shards: int = 50,
      batch_size: int = 32, resize: int = 340, crop: int = 299, prior: float | str = "records",
      class_weights: str | None = None, k: int = 100, restrict: str = "before",
      reading: str = "class", max_labels: int = 64, eval_max_labels: int = 256,
      eval_classes: str | None = None, shuffle: int = order.SHUFFLE, eval_batch_size: int = 64,
      reduction: str = "sum_classes", prior_sample: int = 100_000,
      classes: str | None = None, noise: Mapping[str, Any] | None = None, negatives: str = "all",
      min_confidence: float = 0.0):
    self._hierarchy: Hierarchy | None = None
    if hierarchy is not None:
      self._hierarchy = readers.read(hierarchy, hierarchy_format)
    ids = None if self._hierarchy is None else self._hierarchy.ids
    self._sets = PictureSets(
        records, train_split, eval_splits, ids, batch_size, eval_batch_size, resize, crop,
        max_labels, eval_max_labels, shuffle, absent=negatives == "verified")
    known = self._sets.labels
    chosen = None if classes is None else self._sets.class_indices(classes)
    self.labels = known if chosen is None else tuple(known[c] for c in chosen)
    self.names = (self.labels if self._hierarchy is None else
                  tuple(self._hierarchy.name(label) for label in self.labels))
    self.best = f"fasteval/mAP@{k}"
    closure = None if self._hierarchy is None else self._hierarchy.closure()
    self._targets = LabelTargets(len(known), closure, chosen, noise, negatives, min_confidence)
    self._negatives = negatives
    self._backbone, self._shards, self._reduction = backbone, classifier_shards, reduction
    self._prior, self._prior_sample = prior, prior_sample
    self._metric = {"k": k, "restrict": restrict, "reading": reading, "groups": self._groups(),
                    **self._chosen_metric(class_weights, eval_classes)}
    fasteval.FastEval(len(self.labels), **self._metric)  # refuses bad values before hours of work
    self.explain, self.describe_dropped = self._sets.explain, self._sets.describe_dropped
    self.identity = self._sets.identity

  @property
  def notes(self) -> dict[str, Any]:
    """What every checkpoint says of its pictures, network and labels."""
    return {**self._backbone.notes(self._sets.pictures), "labels": list(self.labels)}

  def _chosen_metric(self, class_weights: str | None, eval_classes: str | None) -> dict[str, Any]:
    """Arguments of FastEval from files that speak of all classes, for those of the network."""
    known = self._sets.labels
    found: dict[str, Any] = {}
    place = {label: i for i, label in enumerate(self.labels)}
    if class_weights is not None:
      weights = class_weights_lib.read_class_weights(class_weights, len(known), known)
      at = [i for _, i in sorted((place[n], i) for i, n in enumerate(known) if n in place)]
      found["class_weights"] = dataclasses.replace(weights, values=weights.values[at])
    if eval_classes is not None:
      named = (known[c] for c in self._sets.class_indices(eval_classes))
      found["classes"] = [place[label] for label in named if label in place]
    return found

  def _groups(self) -> dict[str, list[int]]:
    """Levels and leaves of the hierarchy: their means stand beside mAP@100."""
    if self._hierarchy is None:
      return {}
    leaves = set(self._hierarchy.leaves)
    groups: dict[str, list[int]] = {"leaves": []}
    for i, label in enumerate(self.labels):
      groups.setdefault(f"level_{self._hierarchy.depth(label):02d}", []).append(i)
      if label in leaves:
        groups["leaves"].append(i)
    return groups

  def prior(self) -> np.ndarray | float:
    """The probability of each class that the classifier's bias starts at; may read records.

    Raises:
      DataError: a shard of the training records vanished or is damaged, or negatives are to be
        verified and none is.
    """
    if self._prior != "records" or self._sets.train_set is None:
      return self._uncounted_prior()
    present, known, pictures = self._sets.target_counts(self._targets.training, self._prior_sample)
    if self._negatives == "verified" and pictures and np.array_equal(present, known):
      raise DataError(
          "no-verified-absences", f"{self._sets.records}, split {self._sets.train_split}",
          f"no class is verified as absent in {pictures:,} pictures",
          "records that name such classes", "Train with --config.task.negatives=all.")
    return (present + 0.5) / (known + 1.0)

  def _uncounted_prior(self) -> float:
    return _UNCOUNTED_PRIOR if self._prior == "records" else float(self._prior)

  def build(self) -> classifier.Classifier:
    """The network with random weights; where the prior is counted, `prepare` sets the bias."""
    return classifier.Classifier(
        self._backbone.build(), len(self.labels), shards=self._shards,
        prior=self._uncounted_prior())

  def prepare(self, model: classifier.Classifier) -> str:
    """Starts the classifier's bias at the prior.

    Not in `build`, since most models that are built are restored at once.
    """
    prior = np.broadcast_to(self.prior(), [len(self.labels)])
    model.head.bias.assign(classifier.prior_bias(prior))
    return (f"classifier: the bias starts at a prior of {prior.min():.2g} to {prior.max():.2g} "
            f"for {len(prior):,} classes")

  def train_dataset(self, place: Place) -> tf.data.Dataset:
    """Endless batches with `image`, `targets` (ancestors added) and `unknown_targets`, uint8."""
    return self._sets.train_batches(place, self._targets.training)

  def loss(self, model, batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Per-label logistic loss, summed over classes, mean over the batch (section 4.1).

    Labels of which a picture is neither a positive nor a negative example have neither loss nor
    gradient.
    """
    logits = model(batch["image"], batch_norm="train")
    loss = losses.sigmoid_cross_entropy(
        logits, batch["targets"], batch["unknown_targets"], reduction=self._reduction)
    return loss, {"loss/classification": loss}

  def trainable(self, model) -> dict[str, Any]:
    """Every trained variable, by path."""
    return trainable_variables(model)

  def checkpoint_items(self, model) -> dict[str, Any]:
    """`backbone/<stage>/…` and `head/…`, statistics of batch-norm included."""
    return dict(named_variables(model))

  def evaluators(self) -> list[FastEvalSet]:
    """FastEval on each evaluation split."""
    dataset = functools.partial(self._sets.eval_batches, targets=self._targets.evaluation)
    return [FastEvalSet(split, functools.partial(dataset, split), self.names, self._metric)
            for split in self._sets.eval_splits]

  def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
    """How likely each label is, from logits `[batch, classes]`."""
    return tf.sigmoid(logits)

  def pictures(self, model, batch) -> dict[str, np.ndarray]:
    """Up to eight pictures with their labels left and the best predictions right."""
    images = np.asarray(batch["image"])[:8]
    logits = model(tf.constant(images), batch_norm="frozen")
    probabilities = self.probabilities(logits).numpy()
    names = self.names
    depth = [0] * len(self.labels)
    if self._hierarchy is not None:
      depth = [self._hierarchy.depth(label) for label in self.labels]
    truth, best = [], []
    for i in range(len(images)):
      present = np.flatnonzero(np.asarray(batch["targets"][i])).tolist()
      truth.append([names[c] for c in sorted(present, key=lambda c: -depth[c])])
      shown = np.argsort(-probabilities[i], kind="stable")[:_BEST].tolist()
      best.append([(names[c], float(probabilities[i][c])) for c in shown])
    return {"labels": labels.panels(images, truth, best)}


create = Pretrain
