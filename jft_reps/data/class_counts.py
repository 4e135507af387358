"""How many training pictures carry each class, from a sample of the records."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from jft_reps.data import schema
from jft_reps.data.manifest import RecordSet

_BATCH = 256


def class_counts(
    records: RecordSet, expand: Callable[[tf.Tensor], tf.Tensor], limit: int
) -> tuple[np.ndarray, int]:
  """Pictures per class among the first `limit` records; shards are random samples by hash.

  Args:
    records: a checked set.
    expand: ids `[batch, k]`, padded with -1, to targets `[batch, classes]`.
    limit: records to look at.

  Returns:
    int64 `[classes]`, and the number of pictures counted.
  """
  features = {schema.LABEL: tf.io.VarLenFeature(tf.int64)}
  batches = tf.data.TFRecordDataset(records.paths).take(limit).batch(_BATCH)

  @tf.function
  def count(serialized):
    labels = tf.sparse.to_dense(
        tf.io.parse_example(serialized, features)[schema.LABEL], default_value=-1)
    labels = tf.where(labels < expand.num_classes, labels, -1)  # the reader leaves those out
    return tf.reduce_sum(tf.cast(expand(labels), tf.int64), axis=0), tf.shape(serialized)[0]

  counts, pictures = 0, 0
  for serialized in batches:
    found, n = count(serialized)
    counts, pictures = counts + found.numpy(), pictures + int(n)
  return np.asarray(counts), pictures
