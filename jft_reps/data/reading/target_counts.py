"""How often each class is present, and known to be present or absent, in training targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from jft_reps.data.reading import order, parse_labels
from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.data.records.manifest import RecordSet
from jft_reps.ops import images

_BATCH = 256
Tensors = parse_labels.Tensors


def target_counts(
    records: RecordSet, parser: parse_labels.LabelParser,
    targets: Callable[[Tensors], Mapping[str, tf.Tensor]], limit: int,
) -> tuple[np.ndarray, np.ndarray, int]:
  """Counts over the first `limit` records; shards are random samples by hash.

  Records that the reader would leave out before it decodes the picture are not counted; the
  reader counts them by reason.

  Args:
    records: a checked set with records.
    parser: of the records.
    targets: adds `targets` and `unknown_targets`, `[n, classes]`, to what the parser gives.
    limit: records to look at.

  Returns:
    int64 `[classes]`, pictures that show each class; int64 `[classes]`, pictures whose label of
    it counts, either way; and the number of pictures.

  Raises:
    tf.errors.OpError: a shard vanished or is damaged.
  """
  @tf.function(autograph=False)
  def count(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    parsed = parser.parse(serialized)
    fine = parsed["problem"] < 0
    batch = targets({key: tf.boolean_mask(value, fine) for key, value in parsed.items()})
    ones = lambda key: tf.reduce_sum(tf.cast(batch[key], tf.int32), axis=0)
    return ones("targets"), ones("unknown_targets"), tf.math.count_nonzero(fine)

  present = unknown = np.zeros([], np.int64)
  pictures = 0
  for serialized in order.serialized(records).take(limit).batch(_BATCH):
    found = [value.numpy().astype(np.int64) for value in count(serialized)]
    present, unknown, pictures = present + found[0], unknown + found[1], pictures + int(found[2])
  return present, pictures - unknown, pictures


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
  if not records.records:
    return np.zeros(expand.num_classes, np.int64), 0

  def targets(batch: Tensors) -> Tensors:
    found = expand(batch["labels"])
    return {"targets": found, "unknown_targets": tf.zeros_like(found)}

  parser = parse_labels.LabelParser(images.CenterCrop(), expand.num_classes, max_labels)
  counts, _, pictures = target_counts(records, parser, targets, limit)
  return counts, pictures
