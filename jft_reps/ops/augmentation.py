"""Augmentation of a training batch beyond crop and mirror; off unless it is asked for.

Everything is a function of the batch's place in the data (`stateless` ops), so that a run that
resumes sees what it would have seen. tf-models-official's RandAugment and MixupAndCutmix draw from
global state, which does not survive a resume; TensorFlow's own stateless ops do the same.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from jft_reps.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """What is done to a batch of crops.

  Attributes:
    colour: how far brightness, contrast and saturation go from 1 (0.4 is usual); 0: not at all.
    zoom: least share of a crop's area that is looked at, enlarged to the whole crop (0.35, say,
      Szegedy et al. 2015 from 0.08); 1: always all of it.
    mixup: α of the Beta distribution by which pictures are blended in pairs, and their targets
      with them (Zhang et al. 2018, arXiv:1710.09412; 0.2 is usual); 0: never.

  Raises:
    ConfigError: a number out of its range.
  """

  colour: float = 0.0
  zoom: float = 1.0
  mixup: float = 0.0

  def __post_init__(self):
    for name, good, expected in (
        ("colour", 0 <= self.colour < 1, "from 0 to below 1"),
        ("zoom", 0 < self.zoom <= 1, "above 0, at most 1"),
        ("mixup", 0 <= self.mixup <= 10, "from 0 to 10")):
      if not good:
        raise ConfigError("config-value", f"config.task.augmentation.{name}",
                          repr(getattr(self, name)), expected)

  def pictures(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Zoom and colour, each picture for itself.

    Args:
      images: uint8 `[batch, height, width, 3]`.
      seed: int `[2]`.

    Returns:
      uint8, alike.
    """
    if self.zoom < 1:
      images = self._zoomed(images, _derived(seed, 1))
    return self._coloured(images, _derived(seed, 2)) if self.colour else images

  def blend(self, seed: tf.Tensor) -> tf.Tensor:
    """How much a picture weighs in its pair, float32 scalar in [0.5, 1]; one for a batch."""
    # Beta(α, α) as a ratio of two gammas, of which a fresh pair of generators is drawn.
    one, other = tf.unstack(tf.random.stateless_gamma(
        [2], _derived(seed, 3), self.mixup, dtype=tf.float32))
    share = tf.math.divide_no_nan(one, one + other)
    return tf.maximum(share, 1 - share)  # so that a picture is the larger part of its pair

  def _zoomed(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    draws = tf.random.stateless_uniform([4, batch], seed)
    area = self.zoom + (1 - self.zoom) * draws[0]
    stretch = tf.exp((draws[1] * 2 - 1) * 0.2877)  # log(4 / 3), as Szegedy et al. have it
    side_y = tf.minimum(tf.sqrt(area * stretch), 1.0)
    side_x = tf.minimum(tf.sqrt(area / stretch), 1.0)
    top, left = draws[2] * (1 - side_y), draws[3] * (1 - side_x)
    boxes = tf.stack([top, left, top + side_y, left + side_x], 1)
    found = tf.image.crop_and_resize(tf.cast(images, tf.float32), boxes, tf.range(batch),
                                     [height, width])
    found = tf.cast(tf.clip_by_value(tf.round(found), 0, 255), tf.uint8)
    return tf.ensure_shape(found, images.shape)

  def _coloured(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    factors = 1 + self.colour * tf.random.stateless_uniform(
        [3, tf.shape(images)[0], 1, 1, 1], seed, -1.0, 1.0)
    pixels = tf.cast(images, tf.float32) * factors[0]
    mean = tf.reduce_mean(pixels, [1, 2, 3], keepdims=True)
    pixels = mean + (pixels - mean) * factors[1]
    grey = tf.image.rgb_to_grayscale(pixels)
    pixels = grey + (pixels - grey) * factors[2]
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)


def mixed(images: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
  """Each picture blended with the next one of the batch, the last with the first: uint8."""
  one = tf.cast(images, tf.float32)
  blended = share * one + (1 - share) * tf.roll(one, -1, 0)
  return tf.cast(tf.round(blended), tf.uint8)


def _derived(seed: tf.Tensor, number: int) -> tf.Tensor:
  return tf.stack([seed[0], seed[1] * 7 + number])
