"""Heatmaps and offsets of keypoints: what they are trained towards, and the points they vote for.

Papandreou et al. 2017 (arXiv:1701.01779), "G-RMI". A heatmap says where a keypoint is within 25
pixels, an offset vector at each of these places where exactly; in inference every place votes for
the point that its offset names, weighted by its heat.

Points are `(y, x, visibility)` in pixels of the crop, centres at +0.5; 0 is not labelled. Maps have
a value at every `stride`-th pixel, 0, stride, 2 · stride, …
"""

from __future__ import annotations

import math

import tensorflow as tf

RADIUS = 25.0  # pixels of the crop
_FRAME = 2


def displacements(
    points: tf.Tensor, height: int, width: int, stride: int = 1
) -> tuple[tf.Tensor, tf.Tensor]:
  """How far each point lies from each place, in pixels.

  Args:
    points: float32 `[batch, points, 3]`.
    height, width: of the map.
    stride: pixels between its places.

  Returns:
    Rows `[batch, height, 1, points]` and columns `[batch, 1, width, points]`.
  """
  rows, columns = (tf.range(n, dtype=tf.float32) * stride + 0.5 for n in (height, width))
  return (points[:, tf.newaxis, tf.newaxis, :, 0] - rows[:, tf.newaxis, tf.newaxis],
          points[:, tf.newaxis, tf.newaxis, :, 1] - columns[:, tf.newaxis])


def disks(points: tf.Tensor, height: int, width: int, stride: int = 1,
          radius: float = RADIUS) -> tf.Tensor:
  """Whether a place is within `radius` of a labelled point: bool `[batch, h, w, points]`."""
  dy, dx = displacements(points, height, width, stride)
  labelled = points[:, tf.newaxis, tf.newaxis, :, 2] > 0
  return (dy * dy + dx * dx <= radius * radius) & labelled


def heatmap_loss(logits: tf.Tensor, points: tf.Tensor, ignored: tf.Tensor | None = None,
                 stride: int = 1, radius: float = RADIUS) -> tf.Tensor:
  """Logistic loss of being within a disk: summed over keypoints, mean over places and crops.

  Args:
    logits: float `[batch, height, width, points]`.
    points: `[batch, points, 3]` of the person in the centre.
    ignored: `[batch, people, points, 3]`: places within disks of these have no loss.
    stride: pixels between places.
    radius: of the disks.

  Returns:
    A float32 scalar.
  """
  height, width = logits.shape[1:3]
  inside = disks(points, height, width, stride, radius)
  losses = tf.nn.sigmoid_cross_entropy_with_logits(
      tf.cast(inside, tf.float32), tf.cast(logits, tf.float32))
  if ignored is not None:
    many = tf.shape(ignored)
    others = disks(tf.reshape(ignored, [-1, ignored.shape[2], 3]), height, width, stride, radius)
    others = tf.reshape(others, tf.concat([many[:2], tf.shape(losses)[1:]], 0))
    losses = tf.where(tf.reduce_any(others, 1) & ~inside, 0.0, losses)
  return tf.reduce_mean(tf.reduce_sum(losses, -1))


def offset_loss(offsets: tf.Tensor, points: tf.Tensor, radius: float = RADIUS) -> tf.Tensor:
  """Huber loss of the length of the error within disks, reduced as `heatmap_loss`.

  Args:
    offsets: float `[batch, height, width, points, 2]`, (dy, dx) in pixels, at every pixel.
    points: `[batch, points, 3]`.
    radius: of the disks.

  Returns:
    A float32 scalar; 0 where no point is labelled.
  """
  batch, height, width, count = tf.unstack(tf.shape(offsets)[:4])
  # Disks are 2 % of the places: only there is anything computed.
  where = tf.where(disks(points, offsets.shape[1], offsets.shape[2], 1, radius))
  found = tf.cast(tf.gather_nd(offsets, where), tf.float32)
  point = tf.gather_nd(points[..., :2], tf.stack([where[:, 0], where[:, 3]], 1))
  error = found - (point - (tf.cast(where[:, 1:3], tf.float32) + 0.5))
  square = tf.reduce_sum(error * error, -1)
  # Beyond 1 the root has a gradient everywhere; below it is not taken.
  length = tf.sqrt(tf.maximum(square, 1.0))
  each = tf.where(square <= 1.0, 0.5 * square, length - 0.5)
  return tf.reduce_sum(each) / tf.cast(batch * height * width, tf.float32)


def votes(heat: tf.Tensor, offsets: tf.Tensor, radius: float = RADIUS) -> tf.Tensor:
  """Hough maps float32 `[height, width, points]`: what all places of a crop vote for.

  Votes for points outside are lost, and so is the part of a vote within half a pixel of the edge.
  Place j votes with `heat / (π · radius²)` for the point at its centre plus its offset; a vote is
  shared by the four pixels around, bilinearly. Perfect maps give 1 in all.

  Args:
    heat: probabilities `[height, width, points]`.
    offsets: `[height, width, points, 2]`, (dy, dx) in pixels.
    radius: of the disks of training.
  """
  height, width, count = heat.shape
  rows, columns = tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32)
  y = offsets[..., 0] + rows[:, tf.newaxis, tf.newaxis]
  x = offsets[..., 1] + columns[:, tf.newaxis]
  top, left = tf.floor(y), tf.floor(x)
  down, right = y - top, x - left
  # The frame takes the votes for points outside, so that no vote has to be asked where it goes.
  # So written, what is not a number lands there too.
  top, left = (tf.cast(tf.where(v >= -_FRAME, tf.minimum(v, n), -_FRAME), tf.int32)
               for v, n in ((top, height), (left, width)))
  framed = (height + 2 * _FRAME, width + 2 * _FRAME, count)
  first = ((top + _FRAME) * framed[1] + (left + _FRAME)) * count + tf.range(count)
  lower, upper = heat * down, heat * (1 - down)
  shares = (upper * (1 - right), upper * right, lower * (1 - right), lower * right)
  steps = (0, count, framed[1] * count, framed[1] * count + count)
  found = tf.add_n([
      tf.math.unsorted_segment_sum(tf.reshape(share, [-1]), tf.reshape(first + step, [-1]),
                                   framed[0] * framed[1] * count)
      for share, step in zip(shares, steps)])
  found = tf.reshape(found, framed)[_FRAME:-_FRAME, _FRAME:-_FRAME]
  return found / (math.pi * radius * radius)


def peaks(maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """The point of the most votes of each map, and how many it has.

  Args:
    maps: `[height, width, points]`.

  Returns:
    Points float32 `[points, 2]` as (y, x) in pixels, centres at +0.5: the pixel with the most
    votes, moved to the centre of gravity of the 3x3 pixels around, since votes for one point are
    shared by up to four; and that pixel's votes, float32 `[points]`.
  """
  height, width, count = maps.shape
  flat = tf.reshape(maps, [height * width, count])
  best = tf.argmax(flat, 0, tf.int32)
  row, column = best // width, best % width
  padded = tf.pad(maps, [[1, 1], [1, 1], [0, 0]])
  near = tf.range(3)
  window = tf.gather_nd(padded, tf.stack([
      tf.broadcast_to((row + near[:, tf.newaxis])[:, tf.newaxis], [3, 3, count]),
      tf.broadcast_to((column + near[:, tf.newaxis])[tf.newaxis], [3, 3, count]),
      tf.broadcast_to(tf.range(count), [3, 3, count])], -1))
  mass = tf.reduce_sum(window, [0, 1])
  step = tf.cast(near - 1, tf.float32)
  moved = [tf.math.divide_no_nan(tf.reduce_sum(window * weights, [0, 1]), mass) for weights in
           (step[:, tf.newaxis, tf.newaxis], step[:, tf.newaxis])]
  points = [tf.cast(at, tf.float32) + 0.5 + by for at, by in zip((row, column), moved)]
  return tf.stack(points, -1), tf.reduce_max(flat, 0)
