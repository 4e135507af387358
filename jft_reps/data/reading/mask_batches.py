"""Pictures with a class per pixel: what a segmentation network is trained and judged on."""

from __future__ import annotations

import tensorflow as tf

from jft_reps import errors
from jft_reps.data.reading import guarded, label_batches, order, parse_masks
from jft_reps.data.records import manifest
from jft_reps.ops import masked_pictures
from jft_reps.task import START, Place

__all__ = ["eval_batches", "train_batches"]


def train_batches(
    record_set: manifest.RecordSet,
    batch_size: int,
    picture: masked_pictures.TrainingPicture,
    *,
    place: Place = START,
    shuffle: int = order.SHUFFLE,
    limits: guarded.Limits | None = None,
) -> tf.data.Dataset:
  """Endless batches for training; order and augmentation depend on (seed, epoch, worker).

  Args:
    record_set: of `manifest.load`.
    batch_size: pictures in every batch.
    picture: the picture path, which knows the number of classes.
    place, shuffle, limits: as in `label_batches.train_batches`.

  Returns:
    A dataset of dicts: `image` uint8 `[batch, side, side, 3]`, `mask` uint8 `[batch, side, side]`
    with 255 where nothing is known, `id` string `[batch]`, `position`, `dropped`, `quarantined`
    as in `label_batches.train_batches`.

  Raises:
    errors.DataError: the set is empty. When run, TensorFlow's errors of the reader, and
      `InvalidArgumentError` with the counts by reason beyond the limits.
  """
  label_batches.check_arguments(record_set, batch_size, picture.num_classes)
  parser = parse_masks.MaskParser(picture)
  return label_batches.endless(record_set, batch_size, parser, place, shuffle, limits)


def eval_batches(
    record_set: manifest.RecordSet,
    num_classes: int,
    limits: guarded.Limits | None = None,
) -> tf.data.Dataset:
  """Every usable picture once, in its stored size and always in the same order.

  One to a batch. Pictures of a set without masks, as of a test set, have masks of 255. Elements
  as in `train_batches`; records left out after the last picture are counted with it.

  Raises:
    errors.DataError: the set is empty, or has neither masks nor was built to have none.
  """
  label_batches.check_arguments(record_set, 1, num_classes)
  stated = record_set.metadata.get("annotations")
  if stated not in ("masks", "none"):
    raise errors.DataError(
        "no-masks", manifest.path_of(record_set.directory, record_set.split),
        f"annotations {errors.printable(stated)}", "masks, or none as of a test set",
        "Build the records with --source=masks, voc_masks or coco_masks.")
  parser = parse_masks.MaskParser(masked_pictures.WholePicture(num_classes), stated == "masks")
  return label_batches.once(record_set, 1, parser, 1, limits)
