"""Object detection with Faster R-CNN on a pre-trained backbone: section 5.2, Tables 2 to 5."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.reading import order
from jft_reps.errors import ConfigError
from jft_reps.metrics import coco, voc
from jft_reps.models import faster_rcnn, faster_rcnn_loss, region_proposals
from jft_reps.ops import keep_aspect
from jft_reps.ops.anchors import AnchorGrid
from jft_reps.task import Place
from jft_reps.tasks.backbone import Backbone
from jft_reps.tasks.evaluators import detections
from jft_reps.tasks.fine_tuning import FineTuning
from jft_reps.tasks.inputs.boxes import BoxSets
from jft_reps.tasks.panels import boxes

_SHOWN = 0.3  # least score of a detection that is drawn
_BEST = {"coco": "coco/AP", "voc": "voc/mAP", "voc07": "voc/mAP"}


class Detect(FineTuning[BoxSets]):
  """Faster R-CNN, one picture per worker and step.

  Args:
    records: folder of the record sets; `labels.txt` beside them names the classes.
    backbone: the network; conv4 is read at its `output_stride`.
    train_split: name of the training split; None for evaluation only.
    eval_splits: each judged by `metric`.
    metric: `coco`; `voc` with AP as area under the curve, or `voc07` at 11 points.
    coco_backend: `pycocotools`, or `faster` with the extra `fast-coco`: the same numbers sooner.
    batch_norm: `frozen`: by the statistics that came with the weights; `train`: by the picture;
      `recalibrate`: by the statistics of this task's own pictures, taken before the first step.
    recalibration_pictures: training pictures whose statistics those are.
    frozen_through: up to and with this stage nothing is trained (`conv4` in the paper's study of
      frozen features); None: everything is.
    min_side, max_side: pixels that the shorter side is brought to, unless the longer would pass
      the second (600 and 1024 in section 5.2).
    sampling: arguments of `models.faster_rcnn_loss.Sampling`: anchors and boxes a step trains on.
    anchors: arguments of `ops.anchors.AnchorGrid`.
    rpn_rate: atrous rate of the region proposal network; 2 with `output_stride` 8.
    proposals: boxes that go to the classifier.
    mirror: mirror half of the training pictures.
    shuffle: encoded pictures in the shuffle buffer.

  Attributes:
    labels: class names in class order.
    best: the number whose best checkpoint is kept.
  """

  def __init__(
      self, records: str | os.PathLike[str], backbone: Backbone,
      train_split: str | None = "train", eval_splits: Sequence[str] = ("validation",),
      metric: str = "coco", coco_backend: str = "pycocotools", batch_norm: str = "frozen",
      recalibration_pictures: int = 100, frozen_through: str | None = None,
      min_side: int = keep_aspect.MIN_SIDE, max_side: int = keep_aspect.MAX_SIDE,
      sampling: Mapping[str, Any] | None = None, anchors: Mapping[str, Any] | None = None,
      rpn_rate: int = 1, proposals: int = 300, mirror: bool = True, shuffle: int = order.SHUFFLE):
    if metric not in _BEST:
      raise ConfigError("config-value", "config.task.metric", repr(metric), " or ".join(_BEST))
    sets = BoxSets(records, train_split, eval_splits, min_side, max_side, mirror, shuffle)
    super().__init__(sets, batch_norm, frozen_through, recalibration_pictures)
    self.labels, self.best = sets.labels, _BEST[metric]
    self._backbone, self._metric, self._backend = backbone, metric, coco_backend
    self._sampling = _named(faster_rcnn_loss.Sampling, "sampling", sampling)
    self._grid = _named(AnchorGrid, "anchors", anchors)
    self._rpn_rate, self._proposals = rpn_rate, region_proposals.Proposals(proposals)
    if self._sampling.boxes > proposals or rpn_rate < 1:
      raise ConfigError("config-value", "config.task", f"sampling.boxes {self._sampling.boxes}, "
                        f"proposals {proposals}, rpn_rate {rpn_rate}",
                        "at least as many proposals as sampled boxes, and a rate from 1")

  @property
  def notes(self) -> dict[str, Any]:
    """What every checkpoint says of its pictures, network and labels."""
    detector = {"anchors": dataclasses.asdict(self._grid), "rpn_rate": self._rpn_rate,
                "proposals": self._proposals.count, "output_stride": self._backbone.output_stride}
    return {**self._backbone.notes(self._sets.pictures), "labels": list(self.labels),
            "detector": detector}

  @property
  def card(self) -> dict[str, Any]:
    """What the run card says of this task."""
    sampling = f"{self._sampling.rpn} anchors, {self._sampling.boxes} boxes"
    return {**super().card, "sampling": sampling}

  def build(self) -> faster_rcnn.FasterRCNN:
    """The detector with random weights."""
    return faster_rcnn.FasterRCNN(
        self._backbone.build(), len(self.labels), self._grid, self._rpn_rate, self._proposals)

  def _seen(self, model: faster_rcnn.FasterRCNN, batch):
    return self._run(model, batch, "recalibrate", frozen_through=None)

  def train_dataset(self, place: Place) -> tf.data.Dataset:
    """One picture per batch, with `draw`; see `BoxSets.train_batches`."""
    return self._sets.train_batches(place)

  def loss(self, model, batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The sum of four losses: objectness and box of proposals, class and box of objects."""
    total, parts = self._run(model, batch, self._mode, self._frozen_through)
    lost = tf.reduce_sum(batch["dropped_boxes"])
    return total, {**parts, "data/dropped_boxes": tf.cast(lost, tf.float32)}

  def _run(self, model, batch, mode: str, frozen_through: str | None):
    objects = faster_rcnn_loss.Objects(*(batch[k][0] for k in ("boxes", "classes", "crowd")))
    return faster_rcnn_loss.loss(
        model, self._sets.resized(batch), objects, batch["draw"][0], self._sampling,
        batch_norm=mode, frozen_through=frozen_through)

  def evaluators(self) -> list[detections.DetectionSet]:
    """One per evaluation split."""
    return [detections.DetectionSet(
        split, functools.partial(self._sets.eval_batches, split), self._sets.resized,
        self._new_metric(split), self.labels, self._sets.category_ids(split))
            for split in self._sets.eval_splits]

  def _new_metric(self, split: str) -> coco.CocoBoxes | voc.VocBoxes:
    if self._metric != "coco":
      return voc.VocBoxes(self.labels, method="area" if self._metric == "voc" else "11-point")
    return coco.CocoBoxes(self.labels, self._sets.category_ids(split), self._backend)

  def pictures(self, model, batch) -> dict[str, np.ndarray]:
    """A picture with its objects left and what was found right."""
    image = self._sets.resized(batch)
    found = {k: v.numpy() for k, v in model.detect(image).items()}
    truth = [(box, int(c), self.labels[c])
             for box, c in zip(np.asarray(batch["boxes"])[0], np.asarray(batch["classes"])[0])]
    shown = [(box, int(c), f"{self.labels[c]} {score:.0%}") for box, c, score
             in zip(*(found[k] for k in ("boxes", "classes", "scores"))) if score >= _SHOWN]
    return {"boxes": boxes.panel(image[0].numpy(), truth, shown)[np.newaxis]}


def _named(kind, group: str, values: Mapping[str, Any] | None):
  """An object of a group of the configuration."""
  try:
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in (values or {}).items()})
  except TypeError as e:
    raise ConfigError("config-key", f"config.task.{group}", str(e)) from e


create = Detect
