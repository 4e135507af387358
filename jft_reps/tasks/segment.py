"""Semantic segmentation with DeepLab-ASPP-L on a pre-trained backbone: section 5.3, figure 6."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.reading import order
from jft_reps.errors import ConfigError
from jft_reps.models import deeplab
from jft_reps.ops import score_maps
from jft_reps.task import Place
from jft_reps.tasks.backbone import Backbone, require_dense
from jft_reps.tasks.evaluators.masks import SegmentationSet
from jft_reps.tasks.fine_tuning import FineTuning
from jft_reps.tasks.inputs.masks import MaskSets
from jft_reps.tasks.panels import masks


class Segment(FineTuning[MaskSets]):
  """DeepLab-ASPP-L.

  Args:
    records: folder of the record sets; `labels.txt` beside them names the classes.
    backbone: the network; conv5 is read at its `output_stride`.
    train_split: name of the training split; None for evaluation only.
    eval_splits: each judged by mean IoU at the pictures' own size.
    batch_size: pictures per worker and step.
    batch_norm: `frozen`: by the statistics that came with the weights; `train`: by the batch;
      `recalibrate`: by the statistics of this task's own pictures, taken before the first step.
    recalibration_pictures: training pictures whose statistics those are.
    frozen_through: up to and with this stage nothing is trained; None: everything is.
    resize: side to which pictures are brought (514 in section 5.3), in evaluation too; None
      keeps their size.
    scale: least and largest factor of pictures in training, drawn at random.
    mirror: mirror half of the training pictures.
    crop: side of a random window in training; None: whole pictures.
    rates: of the branches, four in section 5.3.
    shuffle: encoded pictures in the shuffle buffer.

  Attributes:
    labels: class names in class order.
    best: the number whose best checkpoint is kept.
  """

  best = "segmentation/mIOU"

  def __init__(
      self, records: str | os.PathLike[str], backbone: Backbone,
      train_split: str | None = "train", eval_splits: Sequence[str] = ("val",),
      batch_size: int = 6, batch_norm: str = "frozen", recalibration_pictures: int = 100,
      frozen_through: str | None = None, resize: int | None = 514,
      scale: tuple[float, float] = (1.0, 1.0), mirror: bool = False, crop: int | None = None,
      rates: Sequence[int] = deeplab.RATES, shuffle: int = order.SHUFFLE):
    require_dense(backbone)
    if not rates or min(rates) < 1:
      raise ConfigError("config-value", "config.task.rates", str(rates), "rates from 1")
    sets = MaskSets(records, train_split, eval_splits, batch_size, resize, scale, mirror, crop,
                    shuffle)
    super().__init__(sets, batch_norm, frozen_through,
                     -(-recalibration_pictures // max(1, batch_size)))
    self.labels, self._backbone, self._rates = sets.labels, backbone, tuple(rates)

  @property
  def notes(self) -> dict[str, Any]:
    """What every checkpoint says of its pictures, network and labels."""
    branches = {"rates": list(self._rates), "output_stride": self._backbone.output_stride}
    return {**self._backbone.notes(self._sets.pictures), "labels": list(self.labels),
            "aspp": branches}

  @property
  def card(self) -> dict[str, Any]:
    """What the run card says of this task."""
    pictures = ", ".join(f"{k} {v}" for k, v in self._sets.pictures.items())
    return {**super().card, "pictures": pictures, "augmentation": self._sets.augmentation}

  def build(self) -> deeplab.DeepLab:
    """The network with random weights."""
    return deeplab.DeepLab(self._backbone.build(), len(self.labels), self._rates)

  def train_dataset(self, place: Place) -> tf.data.Dataset:
    """Endless batches with `image` and `mask`, see `data.reading.mask_batches`."""
    return self._sets.train_batches(place)

  def loss(self, model, batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Cross entropy at every `stride`-th pixel, and the share of those pixels that are right."""
    scores = model(batch["image"], batch_norm=self._mode, frozen_through=self._frozen_through)
    loss = score_maps.loss(scores, batch["mask"], model.stride)
    right = score_maps.accuracy(scores, batch["mask"], model.stride)
    return loss, {"segmentation/pixel accuracy": right}

  def evaluators(self) -> list[SegmentationSet]:
    """One per evaluation split."""
    return [SegmentationSet(split, functools.partial(self._sets.eval_batches, split),
                            self._sets.resized, self.labels) for split in self._sets.eval_splits]

  def pictures(self, model, batch) -> dict[str, np.ndarray]:
    """A picture with its classes left and what was predicted right, in VOC's colours."""
    mask = np.asarray(batch["mask"])[0]
    predicted = model.segment(self._sets.resized(batch), tf.shape(mask)).numpy()
    image = np.asarray(batch["image"])[0]
    return {"masks": masks.panel(image, mask, predicted, self.labels)[np.newaxis]}


create = Segment
