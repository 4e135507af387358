"""What the header of an encoded picture says, read before any pixel is decoded."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass(frozen=True)
class SizeLimits:
  """What a picture's header may say, decided before any pixel is decoded.

  Attributes:
    max_pixels: height times width; 40 million take 120 MB once decoded.
    min_side: pixels of the shorter side.
    max_aspect: longer side over shorter side.
  """

  max_pixels: int = 40_000_000
  min_side: int = 8
  max_aspect: int = 20

  def problems(self, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """(too many pixels, too small, bad aspect) of `size`, int32 `[2]` height and width."""
    size = tf.cast(size, tf.int64)
    return self.problems_of(tf.reduce_min(size), tf.reduce_max(size))

  def problems_of(self, short: int | tf.Tensor, long: int | tf.Tensor) -> tuple:
    """`problems` of the shorter and the longer side."""
    return short * long > self.max_pixels, short < self.min_side, long > self.max_aspect * short


def is_jpeg(encoded: tf.Tensor) -> tf.Tensor:
  """Whether `encoded`, a scalar string, starts as a JPEG file."""
  return tf.equal(tf.strings.substr(encoded, 0, 3), JPEG_MAGIC)


def is_png(encoded: tf.Tensor) -> tf.Tensor:
  """Whether `encoded`, a scalar string, starts as a PNG file."""
  return tf.equal(tf.strings.substr(encoded, 0, 8), PNG_MAGIC)


def is_grey_png(encoded: tf.Tensor) -> tf.Tensor:
  """Whether `encoded` is a PNG of one channel of 8 bits, where a palette counts as no grey."""
  return is_png(encoded) & tf.equal(tf.strings.substr(encoded, 24, 2), b"\x08\x00")


def jpeg_size(encoded: tf.Tensor) -> tf.Tensor:
  """`[2]` int32 height and width from the header of a JPEG; fails where it is damaged."""
  return tf.image.extract_jpeg_shape(encoded)[:2]


def png_size(encoded: tf.Tensor) -> tf.Tensor:
  """`[2]` int32 height and width from the header of a PNG; fails where it is cut."""
  width_height = tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False)
  return tf.reverse(tf.ensure_shape(width_height, [2]), [0])


def header_size(encoded: tf.Tensor) -> tf.Tensor:
  """`[2]` int32 height and width of a JPEG or PNG, without decoding it."""
  return tf.cond(is_jpeg(encoded), lambda: jpeg_size(encoded), lambda: png_size(encoded))
