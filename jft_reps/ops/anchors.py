"""The grid of anchors of a region proposal network on pictures of any size."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from jft_reps.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class AnchorGrid:
  """Anchors of several scales and aspects around every cell of a feature map.

  As in Huang et al. 2017 (arXiv:1611.10012), whose Faster R-CNN section 5.2 of the paper adopts:
  64, 128, 256 and 512 pixels in three aspects. The centre of cell (i, j) is (i, j) · stride,
  without half a cell: that is what conv4 of a network with symmetric padding is centred on.

  Attributes:
    base: side in pixels of the square anchor of scale 1.
    scales: factors on `base`.
    aspects: width over height; the area does not depend on it.
  """

  base: float = 256.0
  scales: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
  aspects: tuple[float, ...] = (0.5, 1.0, 2.0)

  def __post_init__(self):
    numbers = (self.base, *self.scales, *self.aspects)
    if not (self.scales and self.aspects and all(
        isinstance(n, (int, float)) and math.isfinite(n) and n > 0 for n in numbers)):
      raise ConfigError("anchors", "anchors", f"base {self.base}, scales {self.scales}, aspects "
                        f"{self.aspects}", "positive numbers, at least one scale and one aspect")

  @property
  def per_cell(self) -> int:
    """Anchors of one cell: all scales of the first aspect, then those of the next."""
    return len(self.scales) * len(self.aspects)

  def __call__(self, height: tf.Tensor, width: tf.Tensor, stride: int) -> tf.Tensor:
    """float32 `[height · width · per_cell, 4]` in pixels, row by row of the feature map.

    Args:
      height, width: cells of the feature map, int32 scalars.
      stride: pixels from cell to cell.
    """
    scales, roots = np.meshgrid(self.scales, np.sqrt(self.aspects))
    sides = self.base * np.stack([(scales / roots).ravel(), (scales * roots).ravel()], 1)
    around = tf.constant(np.concatenate([-sides, sides], 1) / 2.0, tf.float32)
    rows = tf.cast(tf.range(height) * stride, tf.float32)
    columns = tf.cast(tf.range(width) * stride, tf.float32)
    y, x = tf.meshgrid(rows, columns, indexing="ij")
    centres = tf.stack([y, x, y, x], -1)[:, :, tf.newaxis, :]
    return tf.reshape(centres + around, [-1, 4])
