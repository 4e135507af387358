"""From an encoded picture to the crop a network is trained on.

Sun et al. 2017, section 4.1: resize to 340x340 (both sides, so the aspect changes),
random 299x299 crop, mirror at random, [-1, 1]. Resizing is bilinear with pixel centres
at +0.5 and without antialiasing. Pictures stay uint8 until the first op of the model,
which is their `Preprocessing`: touching a float batch costs more than decoding a JPEG.

EXIF orientation is not looked at and colour profiles are not applied; grey pictures get
three equal channels, CMYK is converted, 16-bit PNG is cut to 8 bit, alpha is dropped.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from jft_reps.ops.picture_headers import is_jpeg, jpeg_size, png_size, size_problems

_JPEG_END = b"\xff\xd9"
# Chroma at the sides of a partly decoded JPEG is interpolated without its neighbours.
_MARGIN = 2


def _mirrored(image: tf.Tensor, mirror: tf.Tensor) -> tf.Tensor:
  # A branch, because Reverse is only fast where it does reverse.
  flip = lambda: tf.raw_ops.Reverse(tensor=image, dims=[False, True, False])
  return tf.cond(mirror, flip, lambda: image)


def _resized(image: tf.Tensor, resize: int) -> tf.Tensor:
  # The kernel reads float much faster than uint8; the cast costs less than that.
  return tf.raw_ops.ResizeBilinear(
      images=tf.cast(image, tf.float32)[tf.newaxis], size=[resize, resize], half_pixel_centers=True
  )


def decode_resize_crop_mirror(
    encoded: tf.Tensor,
    offset: tf.Tensor,
    mirror: tf.Tensor,
    resize: int = 340,
    crop: int = 299,
) -> tf.Tensor:
  """The plain way, which every faster way equals to 1/255.

  Args:
    encoded: scalar string, a JPEG or PNG.
    offset: `[2]` int32, y and x of the crop in the resized picture.
    mirror: scalar bool.
    resize: side of the resized picture in pixels.
    crop: side of the crop in pixels.

  Returns:
    uint8 `[crop, crop, 3]`.
  """
  image = tf.cond(
      is_jpeg(encoded),
      lambda: tf.io.decode_jpeg(encoded, channels=3),
      lambda: tf.io.decode_png(encoded, channels=3),
  )
  image = tf.image.resize(image, [resize, resize], method="bilinear", antialias=False)
  image = tf.cast(tf.round(image), tf.uint8)
  image = tf.slice(image, tf.concat([offset, [0]], 0), [crop, crop, 3])
  return tf.cond(mirror, lambda: tf.image.flip_left_right(image), lambda: image)


def _whole(image: tf.Tensor, offset: tf.Tensor, resize: int, crop: int) -> tf.Tensor:
  """Resize, crop and round a decoded picture, `[height, width, 3]`."""
  begin = tf.concat([[0], offset, [0]], 0)
  window = tf.slice(_resized(image, resize), begin, [1, crop, crop, 3])
  return tf.cast(tf.squeeze(window, 0) + 0.5, tf.uint8)  # rounds, and much faster than tf.round


def _window(encoded: tf.Tensor, offset: tf.Tensor, size: int, crop: int) -> tf.Tensor:
  """The crop of a JPEG of `size`, of which little more than the crop is decoded."""
  width = min(crop + 2 * _MARGIN, size)
  y, x = tf.unstack(offset)
  left = tf.clip_by_value(x - _MARGIN, 0, size - width)
  pixels = tf.image.decode_and_crop_jpeg(
      encoded, tf.stack([y, left, crop, width]), channels=3)
  return tf.slice(pixels, tf.stack([0, x - left, 0]), [crop, crop, 3])


def resize_crop_mirror(
    encoded: tf.Tensor,
    offset: tf.Tensor,
    mirror: tf.Tensor,
    resize: int = 340,
    crop: int = 299,
) -> tf.Tensor:
  """The fast way: the result of `decode_resize_crop_mirror` to 1/255.

  A JPEG stored at `resize` decodes only the blocks of its crop. That would not notice
  a file cut below the crop, so one that lacks its end marker is decoded whole, which
  fails whatever the crop.

  Args:
    encoded: scalar string, a JPEG or PNG.
    offset: `[2]` int32, y and x of the crop in the resized picture.
    mirror: scalar bool.
    resize: side of the resized picture in pixels.
    crop: side of the crop in pixels.

  Returns:
    uint8 `[crop, crop, 3]`.

  Raises:
    tf.errors.InvalidArgumentError: when run, on anything that cannot be decoded.
  """
  def guarded(size: tf.Tensor) -> tf.Tensor:
    refused = tf.reduce_any(tf.stack(size_problems(size)))
    with tf.control_dependencies([tf.debugging.Assert(~refused, ["picture size", size])]):
      return tf.identity(encoded)

  def jpeg() -> tf.Tensor:
    size = jpeg_size(encoded)
    checked = guarded(size)
    decode = lambda: _whole(tf.io.decode_jpeg(checked, channels=3), offset, resize, crop)
    part = lambda: _window(checked, offset, resize, crop)
    ended = tf.equal(tf.strings.substr(encoded, -2, 2), _JPEG_END)
    return tf.cond(ended & tf.reduce_all(tf.equal(size, resize)), part, decode)

  def png() -> tf.Tensor:
    checked = guarded(png_size(encoded))
    return _whole(tf.io.decode_png(checked, channels=3), offset, resize, crop)

  image = tf.cond(is_jpeg(encoded), jpeg, png)
  return _mirrored(tf.ensure_shape(image, [crop, crop, 3]), mirror)


def random_words(seeds: tf.Tensor, count: int) -> tf.Tensor:
  """int64 `[n, count]` of 31 random bits each, a function of int64 `seeds`, `[n, 2]`.

  The finaliser of SplitMix64 (Steele, Lea and Flood 2014) over a whole batch of seeds; one
  call of TensorFlow's stateless ops for each picture would cost more than the mirroring.
  """
  first, second = tf.unstack(tf.bitcast(seeds, tf.uint64), axis=1)
  word = lambda value: tf.constant(value, tf.uint64)

  def mix(z: tf.Tensor) -> tf.Tensor:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
      z = tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, word(shift))) * word(factor)
    return tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, word(31)))

  state = mix(mix(first + word(0x9E3779B97F4A7C15)) + second)[:, tf.newaxis]
  steps = tf.constant([(k * 0x9E3779B97F4A7C15) % 2**64 for k in range(1, count + 1)], tf.uint64)
  return tf.cast(tf.bitwise.right_shift(mix(state + steps), word(33)), tf.int64)


@dataclasses.dataclass(frozen=True)
class RandomCrop:
  """Resize, random crop, random mirror: the training picture of section 4.1.

  Attributes:
    resize: pixels of both sides after resizing.
    crop: pixels of both sides of the crop.
    mirror: mirror half of the pictures.
  """

  resize: int = 340
  crop: int = 299
  mirror: bool = True

  def draw(self, seeds: tf.Tensor) -> tf.Tensor:
    """int32 `[n, 3]`: y and x of the crop and whether to mirror; of `seeds`, int64 `[n, 2]`."""
    positions = self.resize - self.crop + 1
    choices = [positions, positions, 2 if self.mirror else 1]
    return tf.cast(tf.math.floormod(random_words(seeds, 3), choices), tf.int32)

  def decode(self, encoded: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """uint8 `[crop, crop, 3]` of a scalar string and one row of `draw`."""
    mirror = drawn[2] > 0
    return resize_crop_mirror(encoded, drawn[:2], mirror, self.resize, self.crop)

  def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """uint8 `[crop, crop, 3]` of a scalar string; `seed`, int64 `[2]`, decides crop and mirror."""
    return self.decode(encoded, self.draw(seed[tf.newaxis])[0])


@dataclasses.dataclass(frozen=True)
class CenterCrop:
  """Resize and centre crop: the evaluation picture. Attributes as in `RandomCrop`."""

  resize: int = 340
  crop: int = 299

  def draw(self, seeds: tf.Tensor) -> tf.Tensor:
    """int32 `[n, 3]` as in `RandomCrop`, the same for all of `seeds`, `[n, 2]`."""
    start = (self.resize - self.crop) // 2
    return tf.tile([[start, start, 0]], [tf.shape(seeds)[0], 1])

  def decode(self, encoded: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """uint8 `[crop, crop, 3]` of a scalar string and one row of `draw`."""
    return resize_crop_mirror(encoded, drawn[:2], drawn[2] > 0, self.resize, self.crop)

  def __call__(self, encoded: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
    """uint8 `[crop, crop, 3]` of a scalar string; `seed` changes nothing."""
    return self.decode(encoded, self.draw(tf.zeros([1, 2], tf.int64))[0])
