"""How many training pictures carry each class, from a sample of the records."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from jft_reps.data import picture_records, target_counts
from jft_reps.data.label_expansion import LabelExpansion
from jft_reps.data.manifest import RecordSet
from jft_reps.ops import images


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

  def targets(batch: picture_records.Tensors) -> picture_records.Tensors:
    found = expand(batch["labels"])
    return {"targets": found, "unknown_targets": tf.zeros_like(found)}

  parser = picture_records.Parser(images.CenterCrop(), expand.num_classes, max_labels)
  counts, _, pictures = target_counts.target_counts(records, parser, targets, limit)
  return counts, pictures
