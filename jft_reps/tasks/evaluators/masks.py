"""Evaluators of segmentation: mean intersection over union at the pictures' own size."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from jft_reps.metrics import mask_files
from jft_reps.metrics.mean_iou import MeanIoU
from jft_reps.metrics.results import Result

_PREFIX = "segmentation/"


class SegmentationSet:
  """One evaluation set and what a `models.deeplab.DeepLab` sees in it.

  Args:
    name: of the set; its curves go to `eval_<name>/`.
    dataset: gives pictures of `MaskSets.eval_batches`.
    picture: of a batch, as the network sees it.
    labels: names of the classes.

  Attributes:
    last: the whole result that `result` gave last, with its definition and per-class table.
    submits: whether predictions are kept for `write_submission`.
  """

  guess = "the commonest class of the set at every pixel"

  def __init__(self, name: str, dataset: Callable[[], tf.data.Dataset],
               picture: Callable[[Mapping[str, Any]], tf.Tensor], labels: Sequence[str]):
    self.name, self._dataset, self._picture = name, dataset, picture
    self._metric, self.submits = MeanIoU(labels), False
    self.last: Result | None = None
    self._masks: list[tuple[str, bytes]] = []

  def dataset(self) -> tf.data.Dataset:
    """Batches of one picture."""
    return self._dataset()

  def predict(self, model: Any, batch: Mapping[str, Any]) -> tf.Tensor:
    """The class of each pixel of the stored picture, uint8 `[1, height, width]`."""
    size = tf.shape(batch["mask"])[1:]
    return model.segment(self._picture(batch), size)[tf.newaxis]

  def update(self, ids: Sequence[str], predictions: np.ndarray, truth: Mapping[str, Any]) -> None:
    """Takes the classes of one picture and the truth."""
    self._metric.update(ids[0], predictions[0], truth["mask"][0])
    if self.submits:
      self._masks.append((ids[0], mask_files.encode(predictions[0])))

  def result(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """Numbers by TensorBoard name; warns where one class takes nearly all pixels."""
    found = self._metric.result(exclude_ids)
    if not exclude_ids:
      self.last = found
      taken = self._metric.dominant()
      if taken is not None:
        logging.warning("%s: class %s takes %.1f %% of the predictions (%.1f %% of the truth). "
                        "Nothing else is learned yet, or no more.", self.name, taken.label,
                        100 * taken.predicted, 100 * taken.truth)
    shares = {f"{_PREFIX}IoU/{label}": row["IoU"] for label, row in found.per_class.items()}
    shares |= {f"{_PREFIX}pixels/{label}": row["predicted"]
               for label, row in found.per_class.items()}
    return {**found.scalars(_PREFIX), **{k: v for k, v in shares.items() if v is not None}}

  def chance(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """What saying the commonest class of every pixel gives."""
    return {f"{_PREFIX}{k}": v for k, v in self._metric.guessing(exclude_ids).items()}

  def write_submission(self, folder: str | os.PathLike[str]) -> str:
    """Writes what was predicted as VOC's test server wants it; returns where to.

    Raises:
      StorageError: it cannot be written.
    """
    return mask_files.write_voc_masks(pathlib.Path(folder) / self.name, self._masks)
