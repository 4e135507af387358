"""What a step of Faster R-CNN is trained on: targets, samples and the four losses.

`faster_rcnn_meta_arch`, `target_assigner` and `losses` of Huang et al. 2017 (arXiv:1611.10012),
which section 5.2 of the paper takes over "except the learning rate schedules".
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from jft_reps.errors import ConfigError
from jft_reps.models import region_proposals
from jft_reps.models.faster_rcnn import FasterRCNN
from jft_reps.ops import boxes as box_ops
from jft_reps.ops import losses, matching

_CROWD = 0.5  # share of a box inside a crowd from which it is no example of background


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How many anchors and boxes a picture is trained on, and how many of them hold an object.

  The paper's text says 64 for the region proposal network and 256 for the classifier (section
  5.2); the code it cites has them the other way round, which is `HUANG`.
  """

  rpn: int = 64
  rpn_positive: float = 0.5
  boxes: int = 256
  boxes_positive: float = 0.25

  def __post_init__(self):
    counts, shares = (self.rpn, self.boxes), (self.rpn_positive, self.boxes_positive)
    if not (all(isinstance(n, int) and n >= 1 for n in counts)
            and all(isinstance(s, (int, float)) and 0 <= s <= 1 for s in shares)):
      raise ConfigError("sampling", "sampling", f"counts {counts}, positive shares {shares}",
                        "whole numbers from 1, and shares from 0 to 1")


HUANG = Sampling(rpn=256, boxes=64)


@dataclasses.dataclass(frozen=True)
class Weights:
  """Factors of the losses; those of boxes count double."""

  rpn_objectness: float = 1.0
  rpn_box: float = 2.0
  head_class: float = 1.0
  head_box: float = 2.0


@dataclasses.dataclass(frozen=True)
class Objects:
  """What is in a picture.

  Attributes:
    boxes: float32 `[m, 4]` in pixels.
    classes: int64 `[m]`, background not counted.
    crowd: bool `[m]`: regions with many objects, neither examples nor background.
  """

  boxes: tf.Tensor
  classes: tf.Tensor
  crowd: tf.Tensor

  def assign(self, boxes: tf.Tensor, positive: float, negative: float,
             force: bool = False) -> tf.Tensor:
    """`matching.match` of boxes `[n, 4]` with the objects that are no crowds, int32 `[n]`."""
    overlaps = tf.where(self.crowd, 0.0, box_ops.iou(boxes, self.boxes))
    found = matching.match(overlaps, positive, negative, force)
    inside = tf.where(self.crowd, box_ops.covered(boxes, self.boxes), 0.0)
    lost = tf.reduce_max(tf.pad(inside, [[0, 0], [0, 1]]), 1) >= _CROWD
    return tf.where((found == matching.BACKGROUND) & lost, matching.IGNORED, found)

  def targets(self, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes `[p, 4]` and classes `[p]` of objects by index."""
    return tf.gather(self.boxes, found), tf.gather(self.classes, found)


def loss(model: FasterRCNN, image: tf.Tensor, objects: Objects, seed: tf.Tensor,
         sampling: Sampling = Sampling(), weights: Weights = Weights(),
         batch_norm: str = "frozen", frozen_through: str | None = None,
         ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
  """The loss of one picture, and its parts by TensorBoard name; finite without any object.

  Args:
    model: the detector.
    image: uint8 or float `[1, height, width, 3]`.
    objects: what is in it.
    seed: int64 `[2]`, of the samples.
    sampling: how many.
    weights: of the parts.
    batch_norm, frozen_through: see `ResNet.call`.
  """
  size = tf.shape(image)[1:3]
  features = model.features(image, batch_norm, frozen_through)
  scores = model.rpn(features, size, training=True)
  parts = rpn_losses(scores, objects, sampling, seed)
  proposals = region_proposals.propose(scores, size, model.proposals)
  found = objects.assign(proposals, 0.5, 0.5)
  positive, negative = matching.sample(
      found >= 0, tf.equal(found, matching.BACKGROUND), sampling.boxes, sampling.boxes_positive,
      seed + 1)  # other draws than the anchors'
  boxes = tf.gather(proposals, tf.concat([positive, negative], 0))
  logits, codes = model.classify(
      features, boxes, size, "frozen" if frozen_through == "conv5" else batch_norm)
  parts |= head_losses(logits, codes, boxes, *objects.targets(tf.gather(found, positive)))
  scale = dataclasses.asdict(weights)
  total = tf.add_n([scale[name] * value for name, value in parts.items()])
  return total, {f"loss/{name}": scale[name] * value for name, value in parts.items()}


def rpn_losses(scores: region_proposals.Scores, objects: Objects, sampling: Sampling,
               seed: tf.Tensor) -> dict[str, tf.Tensor]:
  """Losses of the region proposal network, each a sum over the number of sampled anchors.

  Anchors from IoU 0.7 are positive and below 0.3 negative; every object has at least the one it
  overlaps most.
  """
  found = objects.assign(scores.anchors, 0.7, 0.3, force=True)
  positive, negative = matching.sample(
      found >= 0, tf.equal(found, matching.BACKGROUND), sampling.rpn, sampling.rpn_positive, seed)
  count = tf.cast(tf.maximum(tf.size(positive) + tf.size(negative), 1), tf.float32)
  logits = tf.gather(scores.logits, tf.concat([positive, negative], 0))
  wanted = tf.concat([tf.ones_like(positive), tf.zeros_like(negative)], 0)
  objectness = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
  boxes, _ = objects.targets(tf.gather(found, positive))
  codes = box_ops.encode(boxes, tf.gather(scores.anchors, positive))
  error = losses.smooth_l1(tf.gather(scores.codes, positive), codes)
  return {"rpn_objectness": tf.reduce_sum(objectness) / count,
          "rpn_box": tf.reduce_sum(error) / count}


def head_losses(logits: tf.Tensor, codes: tf.Tensor, boxes: tf.Tensor, wanted: tf.Tensor,
                classes: tf.Tensor) -> dict[str, tf.Tensor]:
  """Losses of the classifier, each a sum over the number of sampled boxes.

  Args:
    logits: float32 `[n, classes + 1]`, background first.
    codes: float32 `[n, classes, 4]`; only those of an object's own class have a loss.
    boxes: `[n, 4]`, the sampled proposals, the p positive ones first.
    wanted: `[p, 4]`, the objects' boxes.
    classes: int64 `[p]`, the objects' classes.
  """
  n, p = tf.shape(logits)[0], tf.shape(classes)[0]
  count = tf.cast(tf.maximum(n, 1), tf.float32)
  labels = tf.pad(classes + 1, [[0, n - p]])  # background is 0, and stands behind the objects
  error = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
  own = tf.gather(codes[:p], classes, batch_dims=1)
  distance = losses.smooth_l1(own, box_ops.encode(wanted, boxes[:p]))
  return {"head_class": tf.reduce_sum(error) / count, "head_box": tf.reduce_sum(distance) / count}
