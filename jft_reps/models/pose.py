"""Keypoints of one person in a crop: heatmaps and offsets (section 5.4, Table 6).

Papandreou et al. 2017 (arXiv:1701.01779), "G-RMI": on conv5 at output stride 8 one 1x1 convolution
gives for every keypoint a heatmap and a field of offset vectors, which are upsampled to the crop. A
second heatmap inside conv4, at the network's fiftieth layer, is trained beside them.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from jft_reps.errors import ConfigError
from jft_reps.models import layers, resnet
from jft_reps.ops import keypoints as keypoint_ops

CROP = (353, 257)  # Papandreou et al.; at stride 8 both are multiples of it plus 1: 45 x 33 values


class Maps(NamedTuple):
  """What the network says of crops.

  Attributes:
    heat: logits float32 `[batch, height, width, points]`, at every pixel of the crop.
    offsets: float32 `[batch, height, width, points, 2]`, (dy, dx) in pixels of the crop.
    intermediate: logits float32 `[batch, h', w', points]` at every `stride`-th pixel, or None.
  """

  heat: tf.Tensor
  offsets: tf.Tensor
  intermediate: tf.Tensor | None


class PoseNetwork(layers.Layer):
  """A fully convolutional network for crops of one person.

  Args:
    backbone: a `ResNet` of `output_stride` 8.
    num_points: keypoints of the schema.
    intermediate_unit: unit of conv4 whose features have a heatmap of their own in training; 10
      of ResNet-101's 23 ends at layer 52. None: no such heatmap.
    radius: of the disks of the heatmaps, in pixels of the crop.

  Attributes:
    backbone: the `ResNet`.
    head: 1x1 convolution to heatmaps, then offsets.
    intermediate: 1x1 convolution to heatmaps, or None.
    stride: pixels between values of the maps before upsampling.
    intermediate_stride: likewise, of the intermediate maps.
  """

  def __init__(self, backbone: resnet.ResNet, num_points: int,
               intermediate_unit: int | None = 10, radius: float = keypoint_ops.RADIUS,
               name: str | None = None):
    super().__init__(name=name)
    conv4, conv5 = (backbone.feature_info[stage] for stage in ("conv4", "conv5"))
    self.num_points, self.backbone, self.radius = num_points, backbone, radius
    self.stride, self.intermediate_stride = conv5.stride, conv4.stride
    self.head = layers.Conv2D(
        conv5.channels, 3 * num_points, 1, bias=True, stddev=0.01, name="head")
    self.intermediate: layers.Conv2D | None = None
    self._tap = ""
    if intermediate_unit is not None:
      units = len(backbone.conv4.steps)
      if not 1 <= intermediate_unit <= units:
        raise ConfigError("pose", "intermediate_unit", str(intermediate_unit),
                          f"1 to {units}, a unit of conv4, or None")
      self._tap = f"conv4/unit_{intermediate_unit}"
      self.intermediate = layers.Conv2D(
          conv4.channels, num_points, 1, bias=True, stddev=0.01, name="intermediate")

  def call(self, crops: tf.Tensor, batch_norm: str = "frozen",
           frozen_through: str | None = None, training: bool = False) -> Maps:
    """The maps of crops `[batch, height, width, 3]`.

    Args:
      crops: uint8 or float, each side a multiple of `stride` plus 1.
      batch_norm, frozen_through: as of `ResNet.call`.
      training: compute the intermediate heatmaps too.
    """
    height, width = crops.shape[1:3]
    if (height - 1) % self.stride or (width - 1) % self.stride:
      raise ConfigError("pose-crop", "crop", f"{height}x{width}",
                        f"sides that are multiples of {self.stride} plus 1, such as 353x257")
    middle_head = self.intermediate if training else None
    tap = "conv5" if middle_head is None else self._tap
    features = self.backbone(crops, batch_norm=batch_norm, stages=("conv5", tap),
                             frozen_through=frozen_through)
    # Value i of a map belongs to pixel stride · i, so corners lie on corners.
    maps = tf.raw_ops.ResizeBilinear(
        images=tf.cast(self.head(features["conv5"]), tf.float32), size=[height, width],
        align_corners=True)
    count, batch = self.num_points, tf.shape(maps)[0]
    offsets = tf.reshape(maps[..., count:], [batch, height, width, count, 2])
    middle = None if middle_head is None else tf.cast(middle_head(features[tap]), tf.float32)
    return Maps(maps[..., :count], offsets, middle)

  def poses(self, crops: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The keypoints of each crop, and their scores.

    Returns:
      Points float32 `[batch, points, 2]` as (y, x) in pixels of the crop, centres at +0.5, and
      the votes for each, float32 `[batch, points]`, NaN for crops whose maps are not finite.
    """
    maps = self(crops)

    def one(heat_and_offsets):
      return keypoint_ops.peaks(keypoint_ops.votes(*heat_and_offsets, self.radius))

    points, votes = tf.map_fn(one, (tf.sigmoid(maps.heat), maps.offsets),
                              fn_output_signature=(tf.float32, tf.float32))
    # Votes for a place that is not a number would fall under the table. What was not interpolated
    # tells whether there are any.
    known = [tf.reduce_all(tf.math.is_finite(m[:, ::self.stride, ::self.stride]), range(1, m.ndim))
             for m in (maps.heat, maps.offsets)]
    return points, tf.where((known[0] & known[1])[:, tf.newaxis], votes, float("nan"))


def loss(maps: Maps, points: tf.Tensor, others: tf.Tensor, intermediate_stride: int,
         radius: float = keypoint_ops.RADIUS, heat_weight: float = 4.0,
         offset_weight: float = 1.0) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
  """Total loss of crops and its parts: heatmap, offsets, intermediate heatmap.

  Other people are background to the final heatmap; the intermediate one leaves them out.

  Args:
    maps: of `PoseNetwork` in training.
    points: float32 `[batch, points, 3]` of the person in the centre, in pixels of the crop.
    others: float32 `[batch, people, points, 3]`, of the other people.
    intermediate_stride: pixels between values of the intermediate maps.
    radius: of the disks.
    heat_weight: of both heatmap losses; 4 to 1 in Papandreou et al.
    offset_weight: of the offset loss.
  """
  parts = {"loss/heatmap": heat_weight * keypoint_ops.heatmap_loss(
      maps.heat, points, radius=radius)}
  parts["loss/offsets"] = offset_weight * keypoint_ops.offset_loss(maps.offsets, points, radius)
  if maps.intermediate is not None:
    parts["loss/intermediate"] = heat_weight * keypoint_ops.heatmap_loss(
        maps.intermediate, points, others, intermediate_stride, radius)
  return tf.add_n(list(parts.values())), parts
