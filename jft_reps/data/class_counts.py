"""How many training pictures carry each class, from a sample of the records."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from jft_reps.data import picture_records, reading
from jft_reps.data.label_expansion import LabelExpansion
from jft_reps.data.manifest import RecordSet
from jft_reps.ops import images

_BATCH = 256


def class_counts(
    records: RecordSet, expand: LabelExpansion, limit: int, max_labels: int = 256
) -> tuple[np.ndarray, int]:
  """Pictures per class among the first `limit` records; shards are random samples by hash.

  Records that the reader would leave out before it decodes the picture are not counted; the
  reader counts them by reason.

  Args:
    records: a checked set.
    expand: ids to targets, with the ancestors that are to be counted.
    limit: records to look at.
    max_labels: a record with more is not counted.

  Returns:
    int64 `[classes]`, and the number of pictures counted.

  Raises:
    tf.errors.OpError: a shard vanished or is damaged.
  """
  parser = picture_records.Parser(images.CenterCrop(), expand.num_classes, max_labels)

  @tf.function(autograph=False)
  def count(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    parsed = parser.parse(serialized)
    labels = tf.boolean_mask(parsed["labels"], parsed["problem"] < 0)
    return tf.reduce_sum(tf.cast(expand(labels), tf.int64), axis=0), tf.shape(labels)[0]

  counts, pictures = np.zeros(expand.num_classes, np.int64), 0
  if not records.records:
    return counts, pictures
  for serialized in reading.serialized(records).take(limit).batch(_BATCH):
    found, n = count(serialized)
    counts, pictures = counts + found.numpy(), pictures + int(n)
  return counts, pictures
