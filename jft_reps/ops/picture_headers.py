"""What the header of an encoded picture says, read before any pixel is decoded."""

from __future__ import annotations

import tensorflow as tf

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


# What a header may say, decided before any pixel is decoded: a few hundred bytes can claim a
# picture that fills all memory.
MAX_PIXELS = 40_000_000  # 120 MB once decoded
MIN_SIDE = 8
MAX_ASPECT = 20  # longer side over shorter side


def size_problems(size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """(too many pixels, too small, bad aspect) of `size`, int32 `[2]` height and width."""
  size = tf.cast(size, tf.int64)  # 65,535 squared wraps in int32
  return side_problems(tf.reduce_min(size), tf.reduce_max(size))


def side_problems(short: int | tf.Tensor, long: int | tf.Tensor) -> tuple:
  """`size_problems` of the shorter and the longer side."""
  return short * long > MAX_PIXELS, short < MIN_SIDE, long > MAX_ASPECT * short


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
