"""DeepLab-ASPP-L: class scores from four atrous convolutions, added up (section 5.3).

Chen et al. 2016 (arXiv:1606.00915), the variant for residual networks: on conv5 at output stride 8
four 3x3 convolutions of rates 6, 12, 18 and 24, each straight to one score per class, no hidden
layer and no batch-norm between. Scores belong to every eighth pixel, 0, 8, 16, …; training
compares them with the truth at those pixels, evaluation interpolates them to all.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from jft_reps.models import layers, resnet, variables
from jft_reps.ops import score_maps

RATES = (6, 12, 18, 24)


class DeepLab(layers.Layer):
  """A segmentation network of `num_classes` classes, background among them.

  Args:
    backbone: a `ResNet` of `output_stride` 8.
    num_classes: scores per pixel.
    rates: of the branches: "L", large fields of view; (2, 4, 8, 12) is "S".

  Attributes:
    backbone: the `ResNet`.
    branches: the convolutions, in order of `rates`.
    stride: pixels between scores.
  """

  def __init__(self, backbone: resnet.ResNet, num_classes: int, rates: Sequence[int] = RATES,
               name: str | None = None):
    super().__init__(name=name)
    conv5 = backbone.feature_info["conv5"]
    self.num_classes, self.backbone, self.stride = num_classes, backbone, conv5.stride
    # Glorot and Bengio 2010: variance 2 / (fan in + fan out).
    stddev = (2.0 / (9 * (conv5.channels + num_classes))) ** 0.5
    self.branches = [
        layers.Conv2D(conv5.channels, num_classes, 3, rate=rate, bias=True, stddev=stddev,
                      name=f"branch_{rate}") for rate in rates]

  def call(self, images: tf.Tensor, batch_norm: str = "frozen",
           frozen_through: str | None = None) -> tf.Tensor:
    """Scores float32 `[batch, ceil(h / stride), ceil(w / stride), classes]`.

    Args:
      images: `[batch, h, w, 3]`, uint8 or float.
      batch_norm, frozen_through: as of `ResNet.call`.
    """
    features = self.backbone(images, batch_norm=batch_norm, stages=("conv5",),
                             frozen_through=frozen_through)["conv5"]
    return self.aspp(features)

  def aspp(self, features: tf.Tensor) -> tf.Tensor:
    """The sum of the branches on conv5, `[batch, h', w', channels]`, in float32.

    All taps of all branches in one product with the features, then shifted and added up: four
    atrous convolutions copy 2,048 channels for each rate to add up 21.
    """
    kernels = [tf.cast(variables.value(b.kernel), features.dtype) for b in self.branches]
    taps = tf.concat([tf.reshape(tf.transpose(k, [2, 0, 1, 3]), [k.shape[2], -1])
                      for k in kernels], 1)
    products = tf.cast(tf.tensordot(features, taps, 1), tf.float32)
    products = tf.split(products, 9 * len(self.branches), -1)
    shifts = [((i - 1) * b.rate, (j - 1) * b.rate)
              for b in self.branches for i in range(3) for j in range(3)]
    scores = tf.add_n([_shifted(p, *shift) for p, shift in zip(products, shifts)])
    return scores + tf.add_n([variables.value(b.bias) for b in self.branches])

  def segment(self, images: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """The best class of each pixel of one picture, uint8 `[*size]`.

    Args:
      images: `[1, h, w, 3]`, the picture as the network takes it, of any size.
      size: int `[2]`, of the picture as it is stored.
    """
    scores = self(images)[0]
    return score_maps.best_classes(scores, self.stride, tf.shape(images)[1:3], size)


def _shifted(x: tf.Tensor, down: int, right: int) -> tf.Tensor:
  """`y[i, j] = x[i + down, j + right]`, zero where that is outside."""
  size = tf.shape(x)[1:3]
  before, after = ([tf.minimum(max(0, sign * step), size[axis])
                    for axis, step in enumerate((down, right))] for sign in (-1, 1))
  inside = x[:, after[0]:size[0] - before[0], after[1]:size[1] - before[1]]
  return tf.pad(inside, [[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]])
