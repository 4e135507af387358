"""The sets of people of a task: crops for training, whole pictures with boxes beside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.reading import keypoint_batches
from jft_reps.data.records import keypoint_schema
from jft_reps.metrics import keypoint_files
from jft_reps.metrics.detections import Detections
from jft_reps.task import Place
from jft_reps.tasks.inputs.record_sets import RecordSets


class PeopleSets(RecordSets):
  """Record sets of pictures with people and their keypoints.

  Args:
    records, train_split, eval_splits: see `RecordSets`.
    schema: of the keypoints, a name, a path, or `records`: the one they were built with.
    batch_size: crops per worker.
    crop: height and width of the crops.
    enlarge: least and largest factor of a training crop.
    mirror: mirror half of the training crops.
    shuffle: encoded pictures in the shuffle buffer.

  Attributes:
    schema: the `KeypointSchema`.
  """

  def __init__(
      self, records: str | os.PathLike[str], train_split: str | None,
      eval_splits: Sequence[str], schema: str, batch_size: int, crop: tuple[int, int],
      enlarge: tuple[float, float], mirror: bool, shuffle: int):
    super().__init__(records, train_split, eval_splits)
    splits = (*([] if train_split is None else [train_split]), *self.eval_splits)
    self.schema = (keypoint_batches.schema_of(self.record_set(splits[0])) if schema == "records"
                   else keypoint_schema.read(schema))
    for split in splits:
      keypoint_batches.check_schema(self.record_set(split), self.schema)
    (height, width), (low, high) = crop, enlarge
    self._batch_size, self._crop, self._enlarge = batch_size, (height, width), (low, high)
    self._mirror, self._shuffle = mirror, shuffle

  @property
  def pictures(self) -> dict[str, Any]:
    """How a stored picture becomes the network's input, for the notes of a checkpoint."""
    return {"crop": list(self._crop), "aspect": "kept"}

  def train_batches(self, place: Place) -> tf.data.Dataset:
    """Endless batches of crops."""
    return keypoint_batches.train_batches(
        self.training_records(), self._batch_size, self.schema, place=place,
        shuffle=self._shuffle, mirror=self._mirror, enlarge=self._enlarge, crop=self._crop)

  def eval_batches(self, split: str, boxes: str | None = None) -> tf.data.Dataset:
    """Every picture of a split once, with where to look for people.

    `found` float32 `[1, m, 4]` are the boxes; `beyond` int64 `[1]` counts those that were left out
    because nothing of them is inside of the picture; `listed` bool `[1]`: whether the file names
    the picture.

    Args:
      split: its name.
      boxes: COCO results of a detector; None: the true boxes of all that are no crowds.

    Raises:
      DataError: no such file, or no person in it.
    """
    pictures = keypoint_batches.eval_batches(self.record_set(split), self.schema)
    if boxes is None:
      alone = lambda batch: _where(
          batch, tf.boolean_mask(batch["boxes"][0], ~batch["crowd"][0]), tf.constant(True))
      return pictures.map(alone)
    category = (self.record_set(split).metadata.get("category_ids") or [1])[0]
    return _with_boxes(pictures, keypoint_files.read_person_boxes(boxes, category))


def _with_boxes(pictures: tf.data.Dataset, found: dict[str, Detections]) -> tf.data.Dataset:
  """Pictures with the boxes found in each, by picture id."""
  names = list(found)
  rows = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
      tf.constant(names, tf.string), tf.range(len(names), dtype=tf.int64)), -1)
  lengths = [len(found[name].boxes) for name in names]
  values = np.concatenate([found[name].boxes for name in names] or [np.zeros((0, 4))])
  # The last row is that of pictures in which nobody was found.
  all_boxes = tf.RaggedTensor.from_row_lengths(tf.constant(values, tf.float32), [*lengths, 0])

  def joined(batch):
    row = rows.lookup(batch["id"][0])
    listed = row >= 0
    return _where(batch, all_boxes[tf.where(listed, row, len(names))], listed)

  return pictures.map(joined)


def _where(batch: dict[str, tf.Tensor], boxes: tf.Tensor, listed: tf.Tensor):
  """A picture with the boxes `[m, 4]` that have an area inside of it."""
  ends = tf.cast(tf.tile(tf.shape(batch["image"])[1:3], [2]), tf.float32)
  inside = tf.clip_by_value(boxes, 0.0, ends)
  seen = tf.reduce_all(inside[:, 2:] > inside[:, :2], -1)
  return {**batch, "found": tf.boolean_mask(boxes, seen)[tf.newaxis],
          "beyond": tf.math.count_nonzero(~seen)[tf.newaxis], "listed": listed[tf.newaxis]}
