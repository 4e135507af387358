"""Crops of a feature map, with a gradient that is the same in every run.

TensorFlow's own gradient of `crop_and_resize` adds crops to the feature map from several threads
without a lock on CPUs, and loses some of them: 9 % of the entries were off with 256 crops on two
cores. Bilinear sampling is a product with two small matrices, and so is its gradient.
"""

from __future__ import annotations

import tensorflow as tf

_AT_ONCE = 16  # crops in one product: bounds memory, and is fastest


def crop_and_resize(features: tf.Tensor, boxes: tf.Tensor, side: int) -> tf.Tensor:
  """`tf.image.crop_and_resize` of one feature map; no gradient reaches the boxes.

  Args:
    features: float32 `[1, rows, columns, channels]`.
    boxes: float32 `[n, 4]` in [0, 1]: row y lies at y · (rows - 1), and samples reach from edge
      to edge of the box.
    side: samples along either side of a box, at least 2.

  Returns:
    float32 `[n, side, side, channels]`.
  """
  boxes = tf.stop_gradient(boxes)

  @tf.custom_gradient
  def cropped(features):
    index = tf.zeros([tf.shape(boxes)[0]], tf.int32)
    crops = tf.image.crop_and_resize(features, boxes, index, [side, side])
    return crops, lambda gradient: _gradient(gradient, boxes, tf.shape(features), side)

  return cropped(features)


def _gradient(gradient: tf.Tensor, boxes: tf.Tensor, shape: tf.Tensor, side: int) -> tf.Tensor:
  """Of the feature map, from that of its crops `[n, side, side, channels]`."""
  rows = _weights(boxes[:, 0], boxes[:, 2], shape[1], side)
  columns = _weights(boxes[:, 1], boxes[:, 3], shape[2], side)
  count, width = tf.shape(boxes)[0], shape[2] * shape[3]

  def add(start: tf.Tensor, total: tf.Tensor):
    some = slice(start, start + _AT_ONCE)
    wide = tf.einsum("njx,nijc->nixc", columns[some], gradient[some])
    lines = tf.shape(wide)[0] * side
    total += tf.matmul(tf.reshape(rows[some], [lines, shape[1]]), tf.reshape(wide, [lines, width]),
                       transpose_a=True)
    return start + _AT_ONCE, total

  _, total = tf.while_loop(
      lambda start, _: start < count, add, (tf.constant(0), tf.zeros([shape[1], width])),
      shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None])))
  return tf.reshape(total, shape)


def _weights(start: tf.Tensor, end: tf.Tensor, size: tf.Tensor, side: int) -> tf.Tensor:
  """`[n, side, size]`: how much each cell counts in each sample; nothing outside of the map."""
  last = tf.cast(size - 1, tf.float32)
  step = (end - start) * last / (side - 1)
  places = (start * last)[:, tf.newaxis] + tf.range(side, dtype=tf.float32) * step[:, tf.newaxis]
  near = 1.0 - tf.abs(places[..., tf.newaxis] - tf.cast(tf.range(size), tf.float32))
  inside = (places >= 0.0) & (places <= last)
  return tf.where(inside[..., tf.newaxis], tf.maximum(near, 0.0), 0.0)
