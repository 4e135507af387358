"""From an encoded picture and its mask to what a segmentation network is trained and judged on.

Section 5.3: both are brought to 514x514, whatever their aspect, and nothing is drawn at random.
Scaling, mirroring and crops, which DeepLab trains with (Chen et al. 2017, arXiv:1606.00915), are
options. Pictures are resized bilinearly, masks to the nearest pixel, centres at +0.5 in both.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from jft_reps.errors import ConfigError
from jft_reps.ops import images, keep_aspect
from jft_reps.ops.picture_headers import header_size, is_grey_png, png_size, size_problems

VOID = 255
_GREY = 128  # what lies beyond a picture: about 0 once it is scaled
_DRAWS = 4


def decode(
    encoded: tf.Tensor, mask: tf.Tensor, num_classes: int
) -> tuple[tf.Tensor, tf.Tensor]:
  """A picture uint8 `[height, width, 3]` and its mask uint8 `[height, width]`.

  Args:
    encoded: scalar string, a JPEG or PNG.
    mask: scalar string, a greyscale PNG of 8 bits; an empty one is void everywhere.
    num_classes: classes of the mask lie in [0, num_classes) or are `VOID`.

  Raises:
    tf.errors.InvalidArgumentError: when run, on what does not decode or fit together.
  """
  size = header_size(encoded)
  fine = ~tf.reduce_any(tf.stack(size_problems(size)))
  with tf.control_dependencies([tf.raw_ops.Assert(condition=fine, data=["picture size", size])]):
    image = tf.io.decode_jpeg(tf.identity(encoded), channels=3)  # decodes PNG too

  def stored() -> tf.Tensor:
    fits = is_grey_png(mask) & tf.reduce_all(tf.equal(png_size(mask), size))
    with tf.control_dependencies([tf.raw_ops.Assert(condition=fits, data=["mask"])]):
      pixels = tf.io.decode_png(tf.identity(mask), channels=1)[..., 0]
    known = tf.reduce_all(in_range(pixels, num_classes))
    with tf.control_dependencies([tf.raw_ops.Assert(condition=known, data=["class of a pixel"])]):
      return tf.identity(pixels)

  nothing = lambda: tf.fill(size, tf.constant(VOID, tf.uint8))
  return image, tf.cond(tf.equal(tf.strings.length(mask), 0), nothing, stored)


def in_range(pixels: tf.Tensor, num_classes: int) -> tf.Tensor:
  """Whether each pixel of a mask is of a class or void."""
  return (pixels < tf.constant(num_classes, tf.uint8)) | tf.equal(pixels, VOID)


@dataclasses.dataclass(frozen=True)
class TrainingPicture:
  """What a network is trained on: fixed size, so that pictures make batches.

  Attributes:
    num_classes: of the masks.
    resize: side to which picture and mask are brought; None keeps their size, for `crop`.
    scale: least and largest factor that size is multiplied with, (0.5, 2.0) in later DeepLabs.
    mirror: mirror half of the pictures.
    crop: side of a window at random, with grey and void where the picture ends; None: no crop.
  """

  num_classes: int
  resize: int | None = 514
  scale: tuple[float, float] = (1.0, 1.0)
  mirror: bool = False
  crop: int | None = None

  def __post_init__(self):
    low, high = self.scale
    sides = [side for side in (self.resize, self.crop) if side is not None]
    if not 0 < low <= high or any(side < 8 for side in sides):
      raise ConfigError("segmentation-pictures", "task", f"scale {self.scale}, resize "
                        f"{self.resize}, crop {self.crop}", "0 < least <= largest, sides from 8")
    if self.crop is None and (self.resize is None or low != high):
      raise ConfigError("segmentation-pictures", "task", f"resize {self.resize}, scale "
                        f"{self.scale} without crop", "pictures of one size",
                        "Set crop, 513 in DeepLab.")

  @property
  def side(self) -> int:
    """Pixels of both sides of what comes out."""
    if self.crop is not None or self.resize is None:  # one of them is there
      return self.crop or 0
    return round(self.resize * self.scale[0])

  def draw(self, seeds: tf.Tensor) -> tf.Tensor:
    """float32 `[n, 4]` in [0, 1): scale, mirror, top and left; of `seeds`, int64 `[n, 2]`."""
    return tf.cast(images.random_words(seeds, _DRAWS) % 2**24, tf.float32) / 2**24

  def decode(self, encoded: tf.Tensor, drawn: tf.Tensor) -> dict[str, tf.Tensor]:
    """`image` uint8 `[side, side, 3]` and `mask` uint8 `[side, side]`.

    Args:
      encoded: string `[2]`, picture and mask.
      drawn: a row of `draw`.
    """
    picture, mask = decode(encoded[0], encoded[1], self.num_classes)
    if self.mirror:
      flip = lambda: (picture[:, ::-1], mask[:, ::-1])
      picture, mask = tf.cond(drawn[1] < 0.5, flip, lambda: (picture, mask))
    if self.resize is not None or self.scale != (1.0, 1.0):
      size = self._size(tf.shape(mask), drawn[0])
      picture, mask = keep_aspect.resized(picture, size), nearest(mask, size)
    if self.crop is not None:
      picture, mask = self._window(picture, mask, drawn[2:])
    return {"image": tf.ensure_shape(picture, [self.side, self.side, 3]),
            "mask": tf.ensure_shape(mask, [self.side, self.side])}

  def _size(self, stored: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Height and width after resizing and scaling, `[2]`."""
    low, high = self.scale
    sides = tf.cast(stored if self.resize is None else [self.resize] * 2, tf.float32)
    return tf.maximum(tf.cast(tf.round(sides * (low + (high - low) * drawn)), tf.int32), 1)

  def _window(self, picture, mask, drawn) -> tuple[tf.Tensor, tf.Tensor]:
    """A window of `crop` pixels at a place that `drawn`, `[2]`, decides."""
    size = tf.shape(mask)
    beyond = tf.maximum(self.crop - size, 0)
    pads = tf.stack([tf.zeros_like(beyond), beyond], 1)
    picture = tf.pad(picture, tf.concat([pads, [[0, 0]]], 0), constant_values=_GREY)
    mask = tf.pad(mask, pads, constant_values=VOID)
    places = tf.cast(tf.shape(mask) - self.crop + 1, tf.float32)
    top, left = tf.unstack(tf.cast(drawn * places, tf.int32))
    rows, columns = slice(None, self.crop), slice(None, self.crop)
    return picture[top:, left:][rows, columns], mask[top:, left:][rows, columns]


@dataclasses.dataclass(frozen=True)
class WholePicture:
  """What a network is judged on: picture and mask as they are stored.

  Attributes:
    num_classes: of the masks.
  """

  num_classes: int

  def draw(self, seeds: tf.Tensor) -> tf.Tensor:
    """Nothing is drawn: `[n, 0]`."""
    return tf.zeros([tf.shape(seeds)[0], 0])

  def decode(self, encoded: tf.Tensor, drawn: tf.Tensor) -> dict[str, tf.Tensor]:
    """`image` uint8 `[height, width, 3]` and `mask` uint8 `[height, width]`."""
    del drawn
    image, mask = decode(encoded[0], encoded[1], self.num_classes)
    return {"image": image, "mask": mask}


def nearest(mask: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """A mask `[height, width]` at another size `[2]`: pixel centre to the pixel it falls into."""
  out = tf.raw_ops.ResizeNearestNeighbor(
      images=mask[tf.newaxis, ..., tf.newaxis], size=size, half_pixel_centers=True)
  return out[0, ..., 0]
