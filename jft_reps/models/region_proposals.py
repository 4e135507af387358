"""The region proposal network: which boxes of a picture may hold an object."""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf

from jft_reps.errors import ConfigError
from jft_reps.models import layers
from jft_reps.ops import anchors as anchors_lib
from jft_reps.ops import boxes as box_ops


@dataclasses.dataclass(frozen=True)
class Proposals:
  """How proposals are picked: non-maximum suppression at IoU 0.7, 300 boxes, as in Huang et al.'s
  code (2017), since the paper does not say."""

  count: int = 300
  iou: float = 0.7

  def __post_init__(self):
    if not (isinstance(self.count, int) and self.count >= 1 and 0 <= self.iou <= 1):
      raise ConfigError("proposals", "proposals", f"{self.count}, IoU {self.iou}",
                        "at least one, and an IoU from 0 to 1")


@dataclasses.dataclass(frozen=True)
class Scores:
  """What the network says of every anchor of one picture.

  Attributes:
    anchors: float32 `[n, 4]`; in training without those that leave the picture.
    logits: float32 `[n, 2]`, background and object.
    codes: float32 `[n, 4]`, see `ops.boxes.encode`.
  """

  anchors: tf.Tensor
  logits: tf.Tensor
  codes: tf.Tensor


class RegionProposalNetwork(layers.Layer):
  """A 3x3 convolution with ReLU6 and two 1x1 predictors on conv4.

  Ren et al. 2015 (arXiv:1506.01497) with the numbers of Huang et al. 2017, which section 5.2 of
  the paper takes over.

  Args:
    channels: of conv4.
    stride: pixels per cell of conv4.
    grid: the anchors.
    depth: channels of the convolution.
    rate: its atrous rate; 2 in the variant with stride 8.
    stddev: of initial kernels: what is left of 0.01 after TF1 cuts it at two sigma.
  """

  def __init__(self, channels: int, stride: int, grid: anchors_lib.AnchorGrid, depth: int = 512,
               rate: int = 1, stddev: float = 0.0088, name: str | None = None):
    super().__init__(name=name)
    self._grid, self._stride = grid, stride
    new = functools.partial(layers.Conv2D, bias=True, stddev=stddev)
    self.conv = new(channels, depth, 3, rate=rate, name="conv")
    self.objectness = new(depth, 2 * grid.per_cell, 1, name="objectness")
    self.codes = new(depth, 4 * grid.per_cell, 1, name="codes")

  def call(self, features: tf.Tensor, size: tf.Tensor, training: bool) -> Scores:
    """Scores of the anchors of one picture.

    Args:
      features: conv4, `[1, h, w, channels]`.
      size: int `[2]`, height and width of the picture in pixels.
      training: leave out anchors that leave the picture; else they are cut to it.
    """
    hidden = tf.nn.relu6(self.conv(features))
    shape = tf.shape(features)
    found = Scores(
        self._grid(shape[1], shape[2], self._stride),
        tf.cast(tf.reshape(self.objectness(hidden), [-1, 2]), tf.float32),
        tf.cast(tf.reshape(self.codes(hidden), [-1, 4]), tf.float32))
    if not training:
      return dataclasses.replace(found, anchors=box_ops.clip(found.anchors, size))
    keep = tf.where(box_ops.inside(found.anchors, size))[:, 0]
    return Scores(*(tf.gather(t, keep) for t in (found.anchors, found.logits, found.codes)))


def propose(scores: Scores, size: tf.Tensor, picked: Proposals = Proposals()) -> tf.Tensor:
  """The best boxes `[p, 4]`, at most `picked.count`, best first; no gradient passes.

  Boxes are cut to the picture before suppression, and those that then have no area left out.

  Args:
    scores: of `RegionProposalNetwork`.
    size: int `[2]`, height and width of the picture.
    picked: how many, and the overlap beyond which the worse of two is suppressed.
  """
  objectness = tf.nn.softmax(scores.logits)[:, 1]
  found = box_ops.clip(box_ops.decode(scores.codes, scores.anchors), size)
  keep = tf.where((box_ops.area(found) > 0.0) & tf.math.is_finite(objectness))[:, 0]
  found, objectness = tf.gather(found, keep), tf.gather(objectness, keep)
  best = tf.image.non_max_suppression(found, objectness, picked.count, picked.iou)
  return tf.stop_gradient(tf.gather(found, best))
