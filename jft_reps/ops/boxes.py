"""Boxes: where pixels lie, overlaps, and the code in which a detector predicts them.

A box is `[ymin, xmin, ymax, xmax]` in a continuous plane in which pixel (row i, column j) covers
`[i, i + 1) x [j, j + 1)` and has its centre at +0.5; a picture of height h is `[0, h]`. Inside a
model boxes are absolute pixels, in records they are divided by height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

SCALES = (10.0, 10.0, 5.0, 5.0)  # of the box code; faster_rcnn_box_coder of Huang et al. 2017
_LONGEST = 10.0  # log of a side over its anchor's; e^10 is beyond any picture


def area(boxes: tf.Tensor) -> tf.Tensor:
  """`[…]` of boxes `[…, 4]`; swapped sides have none."""
  ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
  return tf.maximum(ymax - ymin, 0.0) * tf.maximum(xmax - xmin, 0.0)


def intersection(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
  """Common area of every pair, `[n, m]` of boxes `[n, 4]` and `[m, 4]`."""
  top_left = tf.maximum(a[:, tf.newaxis, :2], b[tf.newaxis, :, :2])
  bottom_right = tf.minimum(a[:, tf.newaxis, 2:], b[tf.newaxis, :, 2:])
  sides = tf.maximum(bottom_right - top_left, 0.0)
  return sides[..., 0] * sides[..., 1]


def iou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
  """Intersection over union of every pair, `[n, m]`; 0 for boxes without area or with a NaN."""
  common = intersection(a, b)
  union = area(a)[:, tf.newaxis] + area(b)[tf.newaxis, :] - common
  found = tf.math.divide_no_nan(common, union)
  return tf.where(tf.math.is_nan(found), 0.0, found)


def covered(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
  """Share of each box of `a` that lies in each of `b`, `[n, m]`; COCO's overlap with a crowd."""
  return tf.math.divide_no_nan(intersection(a, b), area(a)[:, tf.newaxis])


def clip(boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Boxes `[…, 4]` cut to a picture of `size` `[2]` (height, width); NaN becomes 0."""
  size = tf.cast(size, boxes.dtype)
  boxes = tf.where(tf.math.is_nan(boxes), tf.zeros_like(boxes), boxes)
  return tf.clip_by_value(boxes, 0.0, tf.concat([size, size], 0))


def inside(boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Bool `[n]`: which boxes lie wholly in a picture of `size` `[2]` (height, width)."""
  size = tf.cast(size, boxes.dtype)
  return tf.reduce_all(boxes[:, :2] >= 0.0, 1) & tf.reduce_all(boxes[:, 2:] <= size, 1)


def _centres(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  sides = boxes[..., 2:] - boxes[..., :2]
  return boxes[..., :2] + sides / 2.0, sides


def encode(boxes: tf.Tensor, anchors: tf.Tensor, scales: Sequence[float] = SCALES) -> tf.Tensor:
  """Faster R-CNN's code (ty, tx, th, tw) of boxes as seen from anchors (arXiv:1506.01497, (2)).

  Args:
    boxes: `[…, 4]`.
    anchors: `[…, 4]`, with area.
    scales: factors on the four codes.

  Returns:
    `[…, 4]`: offsets of the centre over the anchor's sides, and logs of the ratios of sides.
  """
  (centres, sides), (origins, lengths) = _centres(boxes), _centres(anchors)
  lengths, sides = tf.maximum(lengths, 1e-8), tf.maximum(sides, 1e-8)
  codes = tf.concat([(centres - origins) / lengths, tf.math.log(sides / lengths)], -1)
  return codes * tf.constant(scales, codes.dtype)


def decode(codes: tf.Tensor, anchors: tf.Tensor, scales: Sequence[float] = SCALES) -> tf.Tensor:
  """The inverse of `encode`, for codes and anchors that broadcast to `[…, 4]`."""
  codes = codes / tf.constant(scales, codes.dtype)
  origins, lengths = _centres(anchors)
  centres = codes[..., :2] * lengths + origins
  half = tf.exp(tf.minimum(codes[..., 2:], _LONGEST)) * lengths / 2.0
  return tf.concat([centres - half, centres + half], -1)
