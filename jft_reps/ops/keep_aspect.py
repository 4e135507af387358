"""From an encoded picture to one of a detector's size: aspect kept, nothing cut off, no padding.

Huang et al. 2017 (`keep_aspect_ratio_resizer` of the Object Detection API): the shorter side
becomes 600 pixels, unless the longer would pass 1024, which it then becomes. Resizing is bilinear
with pixel centres at +0.5 and without antialiasing, as everywhere in this library.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from jft_reps.ops import images
from jft_reps.ops.picture_headers import header_size, size_problems

# Pixels: Huang et al.'s setting for COCO, whose framework section 5.2 uses.
MIN_SIDE, MAX_SIDE = 600, 1024


def new_size(size: tf.Tensor, min_side: int = MIN_SIDE, max_side: int = MAX_SIDE) -> tf.Tensor:
  """int32 `[2]` height and width after resizing, of `size`, `[2]` before; rounds half to even."""
  sides = tf.cast(size, tf.float32)  # the API's own precision decides what is rounded where
  larger = tf.round(sides * (float(min_side) / tf.reduce_min(sides)))
  smaller = tf.round(sides * (float(max_side) / tf.reduce_max(sides)))
  return tf.cast(tf.where(tf.reduce_max(larger) > max_side, smaller, larger), tf.int32)


def resized(image: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """uint8 `[*size, 3]` of uint8 `[height, width, 3]`; what `tf.image.resize` and rounding give."""
  # The kernel reads float faster than uint8 by more than the cast costs, and adding a half is
  # much faster than tf.round. TensorFlow's 8-bit kernel takes 2.8 times as long and is off by 2.
  out = tf.raw_ops.ResizeBilinear(
      images=tf.cast(image, tf.float32)[tf.newaxis], size=size, half_pixel_centers=True)
  return tf.cast(tf.squeeze(out, 0) + 0.5, tf.uint8)


@dataclasses.dataclass(frozen=True)
class KeepAspect:
  """The picture path of detection: decode, mirror at random, resize.

  Attributes:
    min_side: pixels that the shorter side is brought to.
    max_side: most pixels of the longer side.
    mirror: mirror half of the pictures.
    resize: False leaves the pixels as they are stored, for a model whose first op resizes them.
  """

  min_side: int = MIN_SIDE
  max_side: int = MAX_SIDE
  mirror: bool = True
  resize: bool = True

  def draw(self, seeds: tf.Tensor) -> tf.Tensor:
    """bool `[n]`, whether to mirror; of `seeds`, int64 `[n, 2]`."""
    if not self.mirror:
      return tf.zeros(tf.shape(seeds)[:1], tf.bool)
    return tf.equal(tf.bitwise.bitwise_and(images.random_words(seeds, 1)[:, 0], 1), 1)

  def decode(self, encoded: tf.Tensor, mirror: tf.Tensor) -> dict[str, tf.Tensor]:
    """Decodes one picture.

    Args:
      encoded: scalar string, a JPEG or PNG.
      mirror: scalar bool.

    Returns:
      `image` uint8 `[height, width, 3]`; `size` int64 `[2]`, height and width as stored;
      `new_size` int32 `[2]`, of the resized picture.

    Raises:
      tf.errors.InvalidArgumentError: when run, on what does not decode or passes the limits.
    """
    size = header_size(encoded)
    fine = ~tf.reduce_any(tf.stack(size_problems(size)))
    # The op itself: the function around it would add a branch to every picture.
    with tf.control_dependencies([tf.raw_ops.Assert(condition=fine, data=["picture size", size])]):
      encoded = tf.identity(encoded)
    image = tf.io.decode_jpeg(encoded, channels=3)  # decodes PNG too, and needs no branch
    flip = lambda: tf.raw_ops.Reverse(tensor=image, dims=[False, True, False])
    image = tf.cond(mirror, flip, lambda: image)
    sides = new_size(size, self.min_side, self.max_side)
    image = resized(image, sides) if self.resize else image
    return {"image": image, "size": tf.cast(size, tf.int64), "new_size": sides}
