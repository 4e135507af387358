"""A task that trains in milliseconds: batch-norm and a sharded classifier on made-up numbers."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.python.data.experimental.ops import testing

from jft_reps.models import batch_norm, layers, sharded_dense
from jft_reps.models.variables import Slices, named_variables
from jft_reps.task import Place

FEATURES, CLASSES = 6, 7


class TinyModel(layers.Layer):
  def __init__(self, shards: int):
    super().__init__("tiny")
    self.norm = batch_norm.BatchNorm(FEATURES, momentum=0.9)
    self.head = sharded_dense.ShardedDense(FEATURES, CLASSES, shards)

  def call(self, x, batch_norm="train"):
    x = self.norm(x[:, tf.newaxis, tf.newaxis, :], mode=batch_norm)
    return self.head(x[:, 0, 0, :])


class TinyTask:
  """Rows are a function of (seed, epoch, worker, record); `poison` makes some of them NaN.

  Args:
    poison: called with (worker, record) tensors; true makes the row NaN.
    wait: milliseconds that a batch takes to come.
  """

  notes = {"labels": [f"class {i}" for i in range(CLASSES)]}
  best = "fasteval/mAP@100"
  epoch_length = 40

  def __init__(self, shards: int = 3, batch: int = 4, poison=None, wait: int = 0):
    self._shards, self._batch, self._poison, self._wait = shards, batch, poison, wait

  def build(self):
    return TinyModel(self._shards)

  def row(self, worker, seed, epoch, record):
    key = tf.stack([tf.cast(seed, tf.int64) * 1000 + tf.cast(worker, tf.int64),
                    epoch * self.epoch_length + record])
    x = tf.random.stateless_normal([FEATURES], key)
    if self._poison is not None:
      x = tf.where(self._poison(tf.cast(worker, tf.int64), epoch * self.epoch_length + record),
                   tf.fill([FEATURES], np.float32("nan")), x)
    targets = tf.cast(tf.range(CLASSES) < tf.cast(2 * x[0] + 3, tf.int32), tf.uint8)
    index = epoch * self.epoch_length + record + 1
    following = tf.stack([index // self.epoch_length, tf.constant(0, tf.int64),
                          index % self.epoch_length])
    return {"id": tf.strings.as_string(index), "x": x, "targets": targets, "position": following}

  def train_dataset(self, place):
    position = tf.cast(tf.convert_to_tensor(place.position), tf.int64)
    start = position[0] * self.epoch_length + position[2]
    rows = tf.data.Dataset.range(10**9).map(
        lambda i: self.row(place.worker, place.seed, (i + start) // self.epoch_length,
                           (i + start) % self.epoch_length))
    batches = rows.batch(self._batch, drop_remainder=True)
    if self._wait:
      batches = batches.apply(testing.sleep(self._wait * 1000))
    return batches.prefetch(1)

  def loss(self, model, batch):
    logits = model(batch["x"])
    loss = tf.reduce_mean(tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.cast(batch["targets"], tf.float32), logits=logits), axis=1))
    return loss, {"loss/classification": loss}

  def trainable(self, model):
    return {path: item for path, item in named_variables(model).items()
            if (item.parts[0] if isinstance(item, Slices) else item).trainable}

  def checkpoint_items(self, model):
    return dict(named_variables(model))

  def evaluators(self):
    return [TinyEvaluator(self)]

  def explain(self, error, split=None):
    return None

  def pictures(self, model, batch):
    return {}


class TinyEvaluator:
  name = "tiny"

  def __init__(self, task):
    self._task, self._losses = task, {}

  def dataset(self):
    return self._task.train_dataset(Place(seed=99)).take(5)

  def predict(self, model, batch):
    return model(batch["x"], batch_norm="frozen")

  def update(self, ids, predictions, truth):
    targets = truth["targets"].astype(np.float64)
    loss = np.logaddexp(0, predictions) - targets * predictions
    self._losses.update(zip(ids, loss.sum(axis=1)))

  def result(self, exclude_ids=None):
    kept = [v for k, v in self._losses.items() if k not in set(exclude_ids or ())]
    return {"score": -float(np.mean(kept))}
