"""Human pose with the G-RMI system on a pre-trained backbone: section 5.4, Table 6."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.reading import order
from jft_reps.errors import ConfigError
from jft_reps.models import pose
from jft_reps.ops import keypoints as keypoint_ops
from jft_reps.task import Place
from jft_reps.tasks.backbone import Backbone, require_dense
from jft_reps.tasks.evaluators import poses as pose_sets
from jft_reps.tasks.fine_tuning import FineTuning
from jft_reps.tasks.inputs.people import PeopleSets
from jft_reps.tasks.panels import poses as pose_pictures

_SHOWN = 1 / 3  # of the best score of a picture


class Pose(FineTuning[PeopleSets]):
  """Heatmaps and offsets of keypoints in crops around people.

  Args:
    records: folder of the record sets.
    backbone: the network; conv5 is read at its `output_stride`.
    schema: of the keypoints: `coco`, `toy_world`, the path of a JSON file, or `records`: the one
      that the records were built with.
    train_split: name of the training split; None for evaluation only.
    eval_splits: each judged by COCO's ten numbers.
    boxes: where people are in evaluation: `truth`, or a COCO results file of a detector, in which
      {split} is replaced.
    coco_backend: `pycocotools`, or `faster` with the extra `fast-coco`.
    batch_size: crops per worker and step.
    batch_norm: `frozen`: by the statistics that came with the weights; `train`: by the batch;
      `recalibrate`: by the statistics of this task's own crops, taken before the first step.
    recalibration_pictures: training crops whose statistics those are.
    frozen_through: up to and with this stage nothing is trained; None: everything is.
    crop: height and width of the crops.
    enlarge: least and largest factor of a training crop; 1.25 in evaluation.
    radius: of the disks of the heatmaps, in pixels of the crop.
    intermediate_unit: unit of conv4 with a heatmap of its own; None: none.
    suppression: similarity from which a pose is a double of a better one.
    mirror: mirror half of the training crops.
    shuffle: encoded pictures in the shuffle buffer.

  Attributes:
    best: the number whose best checkpoint is kept.
  """

  best = "keypoints/AP"

  def __init__(
      self, records: str | os.PathLike[str], backbone: Backbone, schema: str = "coco",
      train_split: str | None = "train", eval_splits: Sequence[str] = ("val",),
      boxes: str = "truth", coco_backend: str = "pycocotools", batch_size: int = 3,
      batch_norm: str = "frozen", recalibration_pictures: int = 100,
      frozen_through: str | None = None, crop: tuple[int, int] = pose.CROP,
      enlarge: tuple[float, float] = (1.0, 1.5), radius: float = keypoint_ops.RADIUS,
      intermediate_unit: int | None = 10, suppression: float = 0.5, mirror: bool = True,
      shuffle: int = order.SHUFFLE):
    require_dense(backbone)
    if any(side < 9 or (side - 1) % backbone.output_stride for side in crop):
      raise ConfigError("config-value", "config.task.crop", str(tuple(crop)),
                        f"sides that are multiples of {backbone.output_stride} plus 1")
    if radius <= 0 or not 0 < suppression <= 1 or not 0 < enlarge[0] <= enlarge[1]:
      raise ConfigError("config-value", "config.task", f"radius {radius}, suppression "
                        f"{suppression}, enlarge {enlarge}", "a radius above 0, a similarity from "
                        "0 to 1, least and largest factor")
    sets = PeopleSets(records, train_split, eval_splits, schema, batch_size, crop, enlarge, mirror,
                      shuffle)
    super().__init__(sets, batch_norm, frozen_through,
                     -(-recalibration_pictures // max(1, batch_size)))
    self._backbone = backbone
    height, width = crop
    self._boxes, self._backend, self._crop = boxes, coco_backend, (height, width)
    self._radius, self._unit, self._suppression = radius, intermediate_unit, suppression

  @property
  def notes(self) -> dict[str, Any]:
    """What every checkpoint says of its pictures, network and keypoints."""
    network = {"intermediate_unit": self._unit, "output_stride": self._backbone.output_stride,
               "radius": self._radius}
    return {**self._backbone.notes(self._sets.pictures), "pose": network,
            "keypoints": self._sets.schema.to_json()}

  @property
  def card(self) -> dict[str, Any]:
    """What the run card says of this task."""
    schema = self._sets.schema
    return {**super().card, "keypoints": f"{schema.count} of {schema.name}",
            "boxes in evaluation": self._boxes}

  def build(self) -> pose.PoseNetwork:
    """The network with random weights."""
    return pose.PoseNetwork(
        self._backbone.build(), self._sets.schema.count, self._unit, self._radius)

  def train_dataset(self, place: Place) -> tf.data.Dataset:
    """Endless batches of crops, see `data.reading.keypoint_batches`."""
    return self._sets.train_batches(place)

  def loss(self, model, batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Four times the heatmaps, once the offsets, four times the intermediate heatmaps."""
    maps = model(batch["image"], batch_norm=self._mode, frozen_through=self._frozen_through,
                 training=True)
    return pose.loss(maps, batch["points"], batch["others"], model.intermediate_stride,
                     self._radius)

  def evaluators(self) -> list[pose_sets.PoseSet]:
    """One per evaluation split."""
    return [pose_sets.PoseSet(
        split, functools.partial(self._sets.eval_batches, split, self._boxes_of(split)),
        self._sets.schema, self._crop, self._backend, self._suppression,
        (self._sets.record_set(split).metadata.get("category_ids") or [1])[0])
            for split in self._sets.eval_splits]

  def _boxes_of(self, split: str) -> str | None:
    return None if self._boxes == "truth" else self._boxes.replace("{split}", split)

  def pictures(self, model, batch) -> dict[str, np.ndarray]:
    """A picture with its people left and what was found right, a third of the best and up."""
    image, boxes = batch["image"][0], batch["found"][0]
    points, votes = (t.numpy() for t in pose_sets.find(model, image, boxes, self._crop))
    found = pose_sets.rescored({"points": points, "votes": votes, "boxes": boxes.numpy()},
                               self._sets.schema.sigmas, self._suppression)
    found = found[found.scores >= _SHOWN * found.scores.max(initial=0.0)]
    panel = pose_pictures.panel(image.numpy(), batch["points"].numpy()[0], found.points,
                                found.scores, self._sets.schema.skeleton)
    return {"poses": panel[np.newaxis]}


create = Pose
