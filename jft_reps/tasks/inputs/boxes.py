"""The detection sets of a task: one picture at a time with its boxes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from jft_reps.data.reading import box_batches, guarded
from jft_reps.ops import keep_aspect
from jft_reps.task import Place
from jft_reps.tasks.inputs.record_sets import RecordSets


class BoxSets(RecordSets):
  """Record sets of pictures with boxes.

  Args:
    records, train_split, eval_splits: see `RecordSets`.
    min_side, max_side: pixels that the shorter side is brought to, unless the longer would pass
      the second.
    mirror: mirror half of the training pictures.
    shuffle: encoded pictures in the shuffle buffer.
  """

  def __init__(self, records: str | os.PathLike[str], train_split: str | None,
               eval_splits: Sequence[str], min_side: int, max_side: int, mirror: bool,
               shuffle: int):
    super().__init__(records, train_split, eval_splits)
    self._min_side, self._max_side = min_side, max_side
    self._mirror, self._shuffle = mirror, shuffle

  @property
  def pictures(self) -> dict[str, Any]:
    """How a stored picture becomes the network's input, for the notes of a checkpoint."""
    return {"min_side": self._min_side, "max_side": self._max_side, "aspect": "kept"}

  def category_ids(self, split: str) -> list[int] | None:
    """The ids that a COCO server knows the classes by, where the records name them."""
    return self.record_set(split).metadata.get("category_ids")

  def train_batches(self, place: Place) -> tf.data.Dataset:
    """Endless training pictures of stored size.

    With `draw` int64 `[1, 2]`, which decides the anchors and boxes that a step trains on: a
    function of the seed and of the place in the data, so that a resumed run repeats it.
    """
    def with_draw(batch):
      position = batch["position"]
      draw = guarded.augmentation_seeds(
          tf.cast(place.seed, tf.int64), position[:, 0], position[:, 1:])
      return {**batch, "draw": draw}

    pictures = box_batches.train_batches(
        self.training_records(), num_classes=len(self.labels), place=place, mirror=self._mirror,
        min_side=self._min_side, max_side=self._max_side, resize=False, shuffle=self._shuffle)
    return pictures.map(with_draw, num_parallel_calls=1).prefetch(2)

  def eval_batches(self, split: str) -> tf.data.Dataset:
    """Every picture of a split once, of stored size."""
    return box_batches.eval_batches(
        self.record_set(split), num_classes=len(self.labels), min_side=self._min_side,
        max_side=self._max_side, resize=False)

  def resized(self, batch: Mapping[str, Any]) -> tf.Tensor:
    """The picture of a batch as the network sees it, uint8 `[1, height, width, 3]`.

    Where the network runs and not where the input does: resizing takes longer than decoding.
    """
    size = keep_aspect.new_size(batch["size"][0], self._min_side, self._max_side)
    return keep_aspect.resized(batch["image"][0], size)[tf.newaxis]
