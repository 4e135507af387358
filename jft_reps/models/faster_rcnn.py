"""Faster R-CNN on a backbone split between conv4 and conv5 (section 5.2).

conv1 to conv4 run once on the picture; the region proposal network and the crops read conv4;
conv5, with the backbone's own variables, runs at stride 1 on every crop. Ren et al. 2015
(arXiv:1506.01497) as He et al. 2015 (arXiv:1512.03385) split it, with the numbers of Huang et al.
2017 (arXiv:1611.10012), which the paper takes over.

One picture at a time, of any size: nothing is computed on padding.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from jft_reps.models import layers, region_proposals, resnet, sharded_dense
from jft_reps.models.region_proposals import Proposals
from jft_reps.ops import anchors as anchors_lib
from jft_reps.ops import boxes as box_ops
from jft_reps.ops import crops as crop_ops

CROP = 14  # samples per side, which pooling halves to the 7x7 that conv5 sees (Huang et al. 2017)
PAPER_GRID, PAPER_PROPOSALS = anchors_lib.AnchorGrid(), Proposals()
_POOL, _EDGE = 2, 1.0 - 1e-6


@dataclasses.dataclass(frozen=True)
class Suppression:
  """Of detections: per-class IoU 0.6, at most 100 of a class and 300 in all, any score."""

  iou: float = 0.6
  per_class: int = 100
  total: int = 300
  score: float = 0.0


class FasterRCNN(layers.Layer):
  """A detector of `num_classes` kinds of objects.

  Args:
    backbone: a `ResNet` of `output_stride` 16; 8 in the atrous variant.
    num_classes: kinds of objects, background not counted.
    grid: anchors of the region proposal network, at the stride of conv4.
    rpn_rate: atrous rate of its convolution; 2 in the atrous variant.
    proposals: how many boxes go to the classifier, in training and inference alike.

  Attributes:
    backbone: the `ResNet`.
    rpn: the `RegionProposalNetwork`.
    classes: dense layer to `num_classes + 1` logits, background first.
    codes: dense layer to one box code per class.
  """

  def __init__(self, backbone: resnet.ResNet, num_classes: int,
               grid: anchors_lib.AnchorGrid = PAPER_GRID, rpn_rate: int = 1,
               proposals: Proposals = PAPER_PROPOSALS, name: str | None = None):
    super().__init__(name=name)
    conv4 = backbone.feature_info["conv4"]
    self.num_classes, self.backbone, self.proposals = num_classes, backbone, proposals
    self.rpn = region_proposals.RegionProposalNetwork(
        conv4.channels, conv4.stride, grid, rate=rpn_rate, name="rpn")
    width = backbone.feature_info["conv5"].channels
    # Variance scaling over the mean of both fans, as Huang et al.: uniform there, normal here.
    for part, units in (("classes", num_classes + 1), ("codes", 4 * num_classes)):
      stddev = (2.0 / (width + units)) ** 0.5
      setattr(self, part, sharded_dense.ShardedDense(
          width, units, 1, kernel_stddev=stddev, name=part))

  def features(self, image: tf.Tensor, batch_norm: str = "frozen",
               frozen_through: str | None = None) -> tf.Tensor:
    """conv4 of one picture `[1, height, width, 3]`; arguments as those of `ResNet.call`."""
    tf.debugging.assert_equal(tf.shape(image)[0], 1, "a detector takes one picture at a time")
    # conv5 does not run on the picture; `classify` is told separately whether it is frozen.
    return self.backbone(image, batch_norm=batch_norm, stages=("conv4",),
                         frozen_through="conv4" if frozen_through == "conv5" else frozen_through,
                         )["conv4"]

  def classify(self, features: tf.Tensor, boxes: tf.Tensor, size: tf.Tensor,
               batch_norm: str = "frozen") -> tuple[tf.Tensor, tf.Tensor]:
    """Class logits `[n, classes + 1]` and box codes `[n, classes, 4]` of boxes `[n, 4]`.

    Args:
      features: conv4 of the picture.
      boxes: in pixels.
      size: int `[2]`, height and width of the picture.
      batch_norm: mode of conv5.
    """
    count = tf.shape(boxes)[0]
    # Convolutions of no crop at all fail on some devices.
    whole = tf.cast(tf.concat([[0, 0], size], 0), tf.float32)[tf.newaxis]
    boxes = tf.concat([boxes, whole[:tf.cast(tf.equal(count, 0), tf.int32)]], 0)
    crops = crop(features, boxes, size)
    hidden = self.backbone.run_stage("conv5", crops, batch_norm=batch_norm, stride=1)
    hidden = tf.reduce_mean(tf.cast(hidden, tf.float32), [1, 2])[:count]
    return self.classes(hidden), tf.reshape(self.codes(hidden), [-1, self.num_classes, 4])

  def detect(self, image: tf.Tensor,
             suppression: Suppression = Suppression()) -> dict[str, tf.Tensor]:
    """Objects of one picture `[1, height, width, 3]`, best first.

    Returns:
      `boxes` float32 `[n, 4]` in pixels of this picture, `classes` int64 `[n]` without
      background, `scores` float32 `[n]`; `finite` bool: false where a score or code is not, and
      nothing can be said.
    """
    size = tf.shape(image)[1:3]
    features = self.features(image)
    scores = self.rpn(features, size, training=False)
    boxes = region_proposals.propose(scores, size, self.proposals)
    logits, codes = self.classify(features, boxes, size)
    finite = tf.stack([tf.reduce_all(tf.math.is_finite(t))
                       for t in (scores.logits, scores.codes, logits, codes)])
    return {**suppress(boxes, logits, codes, size, suppression), "finite": tf.reduce_all(finite)}


def crop(features: tf.Tensor, boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """7x7 crops `[n, 7, 7, channels]`: 14x14 bilinear samples, then 2x2 max pooling.

  As `tf.image.crop_and_resize`: row y of a picture of height h lies at y / h · (rows - 1) of the
  feature map, and samples reach from edge to edge of the box.
  """
  sides = tf.cast(tf.concat([size, size], 0), tf.float32)
  # A sample on the very edge may fall outside of the map by rounding, where all is 0.
  boxes = tf.minimum(boxes / sides, _EDGE)
  crops = crop_ops.crop_and_resize(tf.cast(features, tf.float32), boxes, CROP)
  return tf.cast(tf.nn.max_pool2d(crops, _POOL, _POOL, "VALID"), features.dtype)


def suppress(boxes: tf.Tensor, logits: tf.Tensor, codes: tf.Tensor, size: tf.Tensor,
             suppression: Suppression = Suppression()) -> dict[str, tf.Tensor]:
  """Detections from what the classifier says of proposals; see `FasterRCNN.detect`.

  Args:
    boxes: proposals `[n, 4]`.
    logits: `[n, classes + 1]`.
    codes: `[n, classes, 4]`.
    size: int `[2]`, height and width of the picture.
    suppression: of what overlaps.
  """
  found = box_ops.clip(box_ops.decode(codes, boxes[:, tf.newaxis]), size)
  scores = tf.nn.softmax(logits)[:, 1:]
  empty = box_ops.area(found) <= 0.0
  scores = tf.where(empty | ~tf.math.is_finite(scores), -1.0, scores)
  picked = tf.image.combined_non_max_suppression(
      found[tf.newaxis], scores[tf.newaxis], suppression.per_class, suppression.total,
      suppression.iou, suppression.score, clip_boxes=False)
  count = picked.valid_detections[0]
  return {"boxes": picked.nmsed_boxes[0, :count],
          "classes": tf.cast(picked.nmsed_classes[0, :count], tf.int64),
          "scores": picked.nmsed_scores[0, :count]}
