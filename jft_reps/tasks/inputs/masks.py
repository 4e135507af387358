"""The segmentation sets of a task: batches for training, one stored picture at a time beside."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from jft_reps.data.reading import mask_batches
from jft_reps.errors import ConfigError
from jft_reps.ops import keep_aspect
from jft_reps.ops.masked_pictures import VOID, TrainingPicture
from jft_reps.task import Place
from jft_reps.tasks.inputs.record_sets import RecordSets


class MaskSets(RecordSets):
  """Record sets of pictures with a class per pixel.

  Args:
    records, train_split, eval_splits: see `RecordSets`; its labels name the classes.
    batch_size: per worker.
    resize, scale, mirror, crop: see `ops.masked_pictures.TrainingPicture`; `resize` holds in
      evaluation too, where None takes pictures as they are stored.
    shuffle: encoded pictures in the shuffle buffer.
  """

  def __init__(
      self, records: str | os.PathLike[str], train_split: str | None,
      eval_splits: Sequence[str], batch_size: int, resize: int | None,
      scale: tuple[float, float], mirror: bool, crop: int | None, shuffle: int):
    super().__init__(records, train_split, eval_splits)
    if not 2 <= len(self.labels) <= VOID:
      raise ConfigError("segmentation-classes", records, f"{len(self.labels)} classes",
                        f"2 to {VOID}: a mask has 8 bits, and {VOID} is void")
    low, high = scale
    self._picture = TrainingPicture(len(self.labels), resize, (low, high), mirror, crop)
    self._batch_size, self._resize, self._shuffle = batch_size, resize, shuffle

  @property
  def pictures(self) -> dict[str, Any]:
    """How a stored picture becomes the network's input, for the notes of a checkpoint."""
    return {"resize": self._resize, "crop": self._picture.crop,
            "aspect": "kept" if self._resize is None else "not kept"}

  @property
  def augmentation(self) -> str:
    """What is done to training pictures at random, for the run card."""
    low, high = self._picture.scale
    return (f"scale {low:g} to {high:g}, mirror {self._picture.mirror}, crop "
            f"{self._picture.crop}")

  def train_batches(self, place: Place) -> tf.data.Dataset:
    """Endless training batches."""
    return mask_batches.train_batches(
        self.training_records(), self._batch_size, self._picture, place=place,
        shuffle=self._shuffle)

  def eval_batches(self, split: str) -> tf.data.Dataset:
    """Every picture of a split once, of stored size."""
    return mask_batches.eval_batches(self.record_set(split), len(self.labels))

  def resized(self, batch: Mapping[str, Any]) -> tf.Tensor:
    """The picture of an evaluation batch as the network sees it, uint8 `[1, height, width, 3]`."""
    if self._resize is None:
      return batch["image"]
    return keep_aspect.resized(batch["image"][0], [self._resize] * 2)[tf.newaxis]
