"""Pre-training on noisy multi-label pictures: sections 3 and 4.1 of the paper."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from concurrent import futures
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data import hierarchy_readers, manifest, picture_batches, reasons
from jft_reps.data.class_counts import class_counts
from jft_reps.data.hierarchy import Hierarchy
from jft_reps.data.label_expansion import LabelExpansion
from jft_reps.errors import DataError
from jft_reps.metrics import class_weights as class_weights_lib
from jft_reps.models import classifier, resnet
from jft_reps.models.variables import Slices, named_variables
from jft_reps.ops import images as image_ops
from jft_reps.ops import losses
from jft_reps.ops import preprocessing as preprocessing_lib
from jft_reps.tasks import labelled_pictures
from jft_reps.tasks.fasteval_set import FastEvalSet

_TOO_MANY = re.compile(r"too many bad records: (.*?)(; expected (.*?))?['\"\]]*$", re.M)
_BEST = 5  # predictions drawn beside a picture
_DIAGNOSED = 2**34  # bytes of records up to which an error of the reader has all of them read


class Pretrain:
  """A ResNet with a sharded classifier over a hierarchical vocabulary.

  Args:
    records: folder of the record sets.
    train_split: name of the training split; None for evaluation only.
    eval_splits: densely labelled splits, each judged by FastEval.
    hierarchy: file of the label hierarchy, whose order is the class order; None: no hierarchy,
      the classes are those of `labels.txt` beside the records.
    hierarchy_format: `mlimages`, `openimages`, `edges` or `is_a`.
    depth, width, stem, output_stride: see `models.resnet.ResNet`.
    stride_placement, padding, pre_activation, batch_norm_epsilon: likewise; None: as the weights
      it starts from prescribe, else the network's defaults.
    preprocessing: of pixels, as `ops.preprocessing.Preprocessing.to_json`; None: likewise.
    classifier_shards: column shards of the last layer (50 in the paper).
    batch_norm_momentum: 0.997; 0.9 where runs are short.
    compute_dtype: `float32`, or `bfloat16` for activations.
    batch_size: per worker (32 in the paper).
    resize, crop: pictures are resized to `resize` square and cropped to `crop` (340 and 299).
    prior: probability the classifier's bias starts at: a number, or `records` for each class's
      share of a sample of the training pictures.
    class_weights: CSV of class prevalence for FastEval; None: the evaluation set's own.
    k, restrict, reading: see `metrics.fasteval.FastEval`.
    max_labels: labels per picture before expansion; more is a reason to drop it.
    shuffle: encoded pictures in the shuffle buffer.
    eval_batch_size: pictures per evaluation batch.
    reduction: of the loss over classes, `sum_classes` or `mean`.
    prior_sample: training pictures looked at for the prior.
  """

  def __init__(
      self, records: str | os.PathLike[str], train_split: str | None = "train",
      eval_splits: Sequence[str] = ("fasteval",), hierarchy: str | None = None,
      hierarchy_format: str = "edges", depth: int = 101, width: float = 1.0,
      stem: str = "imagenet", stride_placement: str | None = None, output_stride: int = 32,
      padding: str | None = None, pre_activation: bool | None = None,
      batch_norm_epsilon: float | None = None, preprocessing: Mapping[str, Any] | None = None,
      classifier_shards: int = 50, batch_norm_momentum: float = 0.997,
      compute_dtype: str = "float32", batch_size: int = 32, resize: int = 340, crop: int = 299,
      prior: float | str = "records", class_weights: str | None = None, k: int = 100,
      restrict: str = "before", reading: str = "class", max_labels: int = 64,
      shuffle: int = 2048, eval_batch_size: int = 64, reduction: str = "sum_classes",
      prior_sample: int = 100_000):
    self._records, self._train_split = records, train_split
    self._eval_splits = tuple(eval_splits)
    self._hierarchy: Hierarchy | None = None
    if hierarchy is not None:
      self._hierarchy = hierarchy_readers.read(hierarchy, hierarchy_format)
    self._train = None if train_split is None else manifest.load(records, train_split)
    self._eval = {split: manifest.load(records, split) for split in self._eval_splits}
    self._eval_datasets: dict[str, tf.data.Dataset] = {}
    self.labels = self._vocabulary()
    closure = None if self._hierarchy is None else self._hierarchy.closure()
    self._expand = LabelExpansion(len(self.labels), closure, dtype=tf.uint8)
    self._pixels = preprocessing_lib.from_json(
        preprocessing or preprocessing_lib.UNIT_RANGE.to_json())
    self._weights = resnet.prescription(
        depth=depth, width=width, stem=stem, stride_placement=stride_placement, padding=padding,
        pre_activation=pre_activation, batch_norm_epsilon=batch_norm_epsilon)
    self._network = dict(
        self._weights, output_stride=output_stride, batch_norm_momentum=batch_norm_momentum,
        compute_dtype=compute_dtype, preprocessing=self._pixels)
    self._shards, self._prior, self._prior_sample = classifier_shards, prior, prior_sample
    self._batch_size, self._eval_batch_size = batch_size, eval_batch_size
    self._resize, self._crop = resize, crop
    self._max_labels, self._shuffle, self._reduction = max_labels, shuffle, reduction
    self._metric = {"k": k, "restrict": restrict, "reading": reading, "groups": self._groups()}
    if class_weights is not None:
      self._metric["class_weights"] = class_weights_lib.read_class_weights(
          class_weights, len(self.labels), self.labels)

  @property
  def reasons(self) -> Sequence[str]:
    """Names of the reasons for dropped records, in the order they are counted."""
    return reasons.NAMES

  @property
  def notes(self) -> dict[str, Any]:
    """What every checkpoint says of its pictures and labels."""
    return {
        "preprocessing": {**self._pixels.to_json(), "resize": self._resize, "crop": self._crop,
                          "aspect": "not kept"},
        "network": dict(self._weights),
        "labels": list(self.labels),
    }

  def _vocabulary(self) -> tuple[str, ...]:
    """Class ids in class order; those of the records must be the same."""
    sets = [s for s in (self._train, *self._eval.values()) if s is not None]
    stored = {s.split: tuple(labels) for s in sets
              if (labels := picture_batches.labels_of(s)) is not None}
    if self._hierarchy is not None:
      ids = self._hierarchy.ids
    elif stored:
      ids = next(iter(stored.values()))
    else:
      raise DataError("no-labels", self._records, "neither a hierarchy nor labels.txt",
                      "a vocabulary", "Build the records with --labels or --hierarchy.")
    for split, labels in stored.items():
      if labels != ids:
        raise DataError("labels-differ", f"{self._records}, split {split}",
                        f"{len(labels)} labels", f"the {len(ids)} of the hierarchy, in its order",
                        "Build the records with this hierarchy.")
    return ids

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
    """The probability of each class that the classifier's bias starts at; counted once."""
    if self._prior == "records":
      if self._train is None:
        self._prior = 1e-3  # evaluation only: weights are about to be restored
      else:
        # Models are also built inside graphs, where datasets cannot be iterated; a thread of its
        # own is outside of them.
        with futures.ThreadPoolExecutor(1) as thread:
          counts, pictures = thread.submit(
              class_counts, self._train, self._expand, self._prior_sample).result()
        self._prior = ((counts + 0.5) / (pictures + 1.0),)
    return self._prior[0] if isinstance(self._prior, tuple) else float(self._prior)

  def build(self) -> classifier.Classifier:
    """The network, with random weights and the classifier's bias at the prior."""
    return classifier.Classifier(
        resnet.ResNet(**self._network), len(self.labels), shards=self._shards, prior=self.prior())

  def train_dataset(self, worker, workers: int, seed: int, position) -> tf.data.Dataset:
    """Endless batches with `image` (uint8) and `targets` (uint8, ancestors added)."""
    if self._train is None:
      raise DataError("no-train-split", self._records, "no training split was named")
    batches = picture_batches.train_batches(
        self._train, self._batch_size,
        picture=image_ops.RandomCrop(self._resize, self._crop),
        num_classes=len(self.labels), worker=worker, workers=workers, seed=seed,
        position=position, max_labels=self._max_labels, shuffle=self._shuffle)
    return batches.map(self._with_targets, num_parallel_calls=1).prefetch(2)

  def _with_targets(self, batch: Mapping[str, Any]) -> dict[str, Any]:
    return {**batch, "targets": self._expand(batch["labels"])}

  def explain(self, error: BaseException) -> DataError | None:
    """Names the counts of bad records, or the damaged file, behind an error of the reader."""
    too_many = _TOO_MANY.search(str(error))
    if too_many:
      return DataError("too-many-bad-records", f"{self._records}, split {self._train_split}",
                       too_many[1], too_many[3] or "", "See quarantine.jsonl in the run directory.")
    if self._train is None or isinstance(error, tf.errors.InvalidArgumentError):
      return None
    if sum(shard.bytes for shard in self._train.shards) <= _DIAGNOSED:
      return manifest.diagnose(self._train)
    try:
      manifest.check(self._train)
    except DataError as quick:
      return quick
    return None

  def describe_dropped(self, rows: np.ndarray) -> list[str]:
    """Reason, file, record and epoch of each row of `quarantined`, `[n, 4]`."""
    lines = picture_batches.quarantine_lines(self._train, rows)
    return [line.replace("\t", ", ") for line in lines]

  def loss(self, model, batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Per-label logistic loss, summed over classes, mean over the batch (section 4.1)."""
    logits = model(batch["image"], batch_norm="train")
    loss = losses.sigmoid_cross_entropy(logits, batch["targets"], reduction=self._reduction)
    return loss, {"loss/classification": loss}

  def trainable(self, model) -> dict[str, Any]:
    """Every trained variable, by path."""
    return {path: item for path, item in named_variables(model).items()
            if (item.parts[0] if isinstance(item, Slices) else item).trainable}

  def checkpoint_items(self, model) -> dict[str, Any]:
    """`backbone/<stage>/…` and `head/…`, statistics of batch-norm included."""
    return dict(named_variables(model))

  def evaluators(self) -> list[FastEvalSet]:
    """FastEval on each evaluation split."""
    return [
        FastEvalSet(split, functools.partial(self._eval_dataset, split), len(self.labels),
                    self._metric)
        for split in self._eval_splits]

  def _eval_dataset(self, split: str) -> tf.data.Dataset:
    """Centre crops with their targets; built once, since tracing takes longer than a small set."""
    if split not in self._eval_datasets:
      batches = picture_batches.eval_batches(
          self._eval[split], self._eval_batch_size,
          picture=image_ops.CenterCrop(self._resize, self._crop),
          num_classes=len(self.labels), max_labels=256)
      self._eval_datasets[split] = batches.map(self._with_targets).prefetch(2)
    return self._eval_datasets[split]

  def pictures(self, model, batch) -> dict[str, np.ndarray]:
    """Up to eight pictures with their labels left and the best predictions right."""
    images = np.asarray(batch["image"])[:8]
    probabilities = tf.sigmoid(model(tf.constant(images), batch_norm="frozen")).numpy()
    names = self.labels if self._hierarchy is None else self._hierarchy.names
    depth = ([0] * len(names) if self._hierarchy is None
             else [self._hierarchy.depth(label) for label in self.labels])
    truth, best = [], []
    for i in range(len(images)):
      present = np.flatnonzero(np.asarray(batch["targets"][i]))
      truth.append([names[c] for c in sorted(present, key=lambda c: -depth[c])])
      # The most specific of what it holds likelier than not says more than the root.
      order = np.argsort(-probabilities[i], kind="stable")[:4 * _BEST]
      order = sorted(order, key=lambda c: (probabilities[i][c] <= 0.5, -depth[c]))[:_BEST]
      best.append([(names[c], float(probabilities[i][c])) for c in order])
    return {"labels": labelled_pictures.panels(images, truth, best)}


create = Pretrain
