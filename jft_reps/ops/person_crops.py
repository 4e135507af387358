"""Crops around people, and points in and out of them.

Papandreou et al. 2017 (G-RMI), section 3.2: a box is extended about its centre to a fixed aspect,
enlarged and resized to 353 x 257. A region `[ymin, xmin, ymax, xmax]` is the crop in pixels of the
picture. Pixel centres lie at +0.5 in both planes.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

HEIGHT, WIDTH = 353, 257
_GREY = 128


def region(
    box: tf.Tensor, factor: float | tf.Tensor, height: int = HEIGHT, width: int = WIDTH
) -> tf.Tensor:
  """What to crop for a box: all of it, at the crop's aspect, times a factor.

  Args:
    box: float32 `[…, 4]`; a side below a pixel counts as one, so that no region is empty.
    factor: scalar or `[…]`, how much longer both sides become.
    height: of the crop, in pixels.
    width: of the crop, in pixels.

  Returns:
    float32 `[…, 4]` about the centre of the box, off the picture where it has to be.
  """
  ends = box[..., 2:]
  centre, sides = (box[..., :2] + ends) / 2.0, tf.maximum(ends - box[..., :2], 1.0)
  long = tf.maximum(sides, sides[..., ::-1] * [height / width, width / height])
  half = long * tf.expand_dims(tf.cast(factor, tf.float32), -1) / 2.0
  return tf.concat([centre - half, centre + half], -1)


def crop(
    image: tf.Tensor, regions: tf.Tensor, height: int = HEIGHT, width: int = WIDTH
) -> tf.Tensor:
  """Bilinear samples at the centres of the crops' pixels, without antialiasing.

  The picture lies on an endless plane of grey 128, so half a pixel inside and outside of its border
  picture and grey are mixed, as bilinear sampling does between any two pixels.

  Args:
    image: uint8 `[h, w, 3]`.
    regions: float32 `[n, 4]`, none empty.
    height: of the crops, in pixels, at least 2.
    width: of the crops, in pixels, at least 2.

  Returns:
    uint8 `[n, height, width, 3]`.
  """
  framed = tf.pad(image, [[1, 1], [1, 1], [0, 0]], constant_values=_GREY)
  size = tf.tile([height, width], [2])
  step = (regions[:, 2:] - regions[:, :2]) / tf.cast(size[:2], tf.float32)
  # The first and the last sample, which the kernel takes for the corners of its box. In the framed
  # picture a pixel's index is its old one, which is half below its centre, and one.
  ends = tf.concat([regions[:, :2] + step / 2.0, regions[:, 2:] - step / 2.0], 1) + 0.5
  last = tf.cast(tf.tile(tf.shape(framed)[:2], [2]) - 1, tf.float32)
  samples = tf.image.crop_and_resize(
      framed[tf.newaxis], ends / last, tf.zeros(tf.shape(regions)[:1], tf.int32), size[:2],
      extrapolation_value=_GREY)
  return tf.ensure_shape(tf.cast(samples + 0.5, tf.uint8), [None, height, width, 3])


def _corner_and_scale(
    regions: tf.Tensor, height: int, width: int
) -> tuple[tf.Tensor, tf.Tensor]:
  """`[…, 1, 2]` each: first corner, and crop pixels per pixel of the picture."""
  corner = regions[..., tf.newaxis, :2]
  scale = tf.constant([height, width], tf.float32) / (regions[..., tf.newaxis, 2:] - corner)
  return corner, scale


def to_crop(
    points: tf.Tensor, regions: tf.Tensor, height: int = HEIGHT, width: int = WIDTH
) -> tf.Tensor:
  """Points of the picture in pixels of the crop.

  Args:
    points: float32 `[…, K, 2 or more]`: y, x and what stays as it is.
    regions: float32 `[…, 4]`, of the same leading shape or one that broadcasts to it.
    height: of the crop, in pixels.
    width: of the crop, in pixels.

  Returns:
    Like `points`; those outside of the crop too.
  """
  corner, scale = _corner_and_scale(regions, height, width)
  return tf.concat([(points[..., :2] - corner) * scale, points[..., 2:]], -1)


def from_crop(
    points: tf.Tensor, regions: tf.Tensor, height: int = HEIGHT, width: int = WIDTH
) -> tf.Tensor:
  """Points of the crop in pixels of the picture; arguments and result as in `to_crop`."""
  corner, scale = _corner_and_scale(regions, height, width)
  return tf.concat([points[..., :2] / scale + corner, points[..., 2:]], -1)


def mirrored_points(points: tf.Tensor, order: Sequence[int], width: int = WIDTH) -> tf.Tensor:
  """`[…, K, 3]` of a crop turned left to right.

  Args:
    points: float32 `[…, K, 3]` of y, x, visibility in pixels of the crop.
    order: index of the mirror image of each keypoint, `KeypointSchema.mirrored`.
    width: of the crop, in pixels.
  """
  y, x, visibility = tf.unstack(tf.gather(points, order, axis=-2), axis=-1)
  return tf.stack([y, width - x, visibility], -1)


def only_near(
    points: tf.Tensor, height: int = HEIGHT, width: int = WIDTH, margin: float = 0.0
) -> tf.Tensor:
  """`[…, K, 3]` with zeros for points that are not labelled or lie off the crop.

  Args:
    points: float32 `[…, K, 3]` of y, x, visibility in pixels of the crop.
    height: of the crop, in pixels.
    width: of the crop, in pixels.
    margin: pixels around the crop that still count as the crop.
  """
  place, end = points[..., :2], tf.constant([height, width], tf.float32)
  near = tf.reduce_all((place >= -margin) & (place <= end + margin), -1)
  return tf.where(((points[..., 2] > 0) & near)[..., tf.newaxis], points, 0.0)
