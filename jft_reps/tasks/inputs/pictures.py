"""The labelled picture sets of a task: batches of crops with the labels of the whole picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.reading import label_batches, parse_labels, target_counts
from jft_reps.ops import images as image_ops
from jft_reps.task import Place
from jft_reps.tasks.inputs.record_sets import RecordSets

Batch = dict[str, Any]


class PictureSets(RecordSets):
  """Record sets of labelled pictures.

  Args:
    records, train_split, eval_splits, labels: see `RecordSets`.
    batch_size: per worker.
    eval_batch_size: pictures per evaluation batch.
    resize, crop: pictures are resized to `resize` square and cropped to `crop`: at random and
      mirrored for training, in the centre for evaluation.
    max_labels, eval_max_labels: labels of a picture; more is a reason to drop it.
    keep_empty: use pictures without a label.
    shuffle: encoded pictures in the shuffle buffer.
    absent: training batches also say which classes were verified as absent.
  """

  def __init__(
      self, records: str | os.PathLike[str], train_split: str | None,
      eval_splits: Sequence[str], labels: Sequence[str] | None, batch_size: int,
      eval_batch_size: int, resize: int, crop: int, max_labels: int, eval_max_labels: int,
      shuffle: int, keep_empty: bool = True, absent: bool = False):
    super().__init__(records, train_split, eval_splits, labels)
    self._datasets: dict[str, tf.data.Dataset] = {}
    self._batch_size, self._eval_batch_size = batch_size, eval_batch_size
    self._resize, self._crop, self._shuffle = resize, crop, shuffle
    self._max_labels, self._eval_max_labels = max_labels, eval_max_labels
    self._keep_empty, self._absent = keep_empty, absent

  @property
  def pictures(self) -> dict[str, Any]:
    """How a stored picture becomes the network's input, for the notes of a checkpoint."""
    return {"resize": self._resize, "crop": self._crop, "aspect": "not kept"}

  def train_batches(self, place: Place, targets: Callable[[Batch], Batch]) -> tf.data.Dataset:
    """Endless training batches.

    Args:
      place: whose share to read, and from where on.
      targets: adds the targets to a batch, in graph ops.
    """
    batches = label_batches.train_batches(
        self.training_records(), self._batch_size, num_classes=len(self.labels), place=place,
        picture=image_ops.RandomCrop(self._resize, self._crop), max_labels=self._max_labels,
        shuffle=self._shuffle, keep_empty=self._keep_empty, absent=self._absent)
    return batches.map(targets, num_parallel_calls=1).prefetch(2)

  def target_counts(self, targets: Callable[[Batch], Batch],
                    limit: int) -> tuple[np.ndarray, np.ndarray, int]:
    """How often classes are present and known, see `data.reading.target_counts`.

    Args:
      targets: adds the targets to a batch.
      limit: training records to look at.

    Raises:
      DataError: a shard vanished or is damaged.
    """
    parser = parse_labels.LabelParser(
        image_ops.CenterCrop(), len(self.labels), self._max_labels, self._keep_empty, self._absent)
    try:
      return target_counts.target_counts(self.training_records(), parser, targets, limit)
    except tf.errors.OpError as error:
      explained = self.explain(error)
      if explained is None:
        raise
      raise explained from error

  def eval_batches(self, split: str, targets: Callable[[Batch], Batch]) -> tf.data.Dataset:
    """Every picture of any split once, centre crops; built once, as tracing takes its time."""
    if split not in self._datasets:
      record_set = self.record_set(split)
      batches = label_batches.eval_batches(
          record_set, self._eval_batch_size, num_classes=len(self.labels),
          picture=image_ops.CenterCrop(self._resize, self._crop),
          max_labels=self._eval_max_labels, keep_empty=self._keep_empty)
      self._datasets[split] = batches.map(targets).prefetch(2)
    return self._datasets[split]
