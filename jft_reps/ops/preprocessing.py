"""What a network's first op does to pixels: channel order, mean and deviation.

Weights are worth what they were trained on, so this travels with them: in an imported file's
`Source`, in every checkpoint, in an exported model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from jft_reps.errors import ConfigError

CHANNELS = ("RGB", "BGR")


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """`(pixels - mean) / std`, for pixels from 0 to 255.

  Attributes:
    mean: of each of three channels, in the order of `channels`.
    std: likewise. The defaults bring pixels to [-1, 1] (section 4.1 of the paper).
    channels: the order the network takes, `RGB` or `BGR`; pictures are RGB.
  """

  mean: tuple[float, ...] = (127.5, 127.5, 127.5)
  std: tuple[float, ...] = (127.5, 127.5, 127.5)
  channels: str = "RGB"

  def __post_init__(self):
    if self.channels not in CHANNELS or len(self.mean) != 3 or len(self.std) != 3:
      raise ConfigError("preprocessing", "preprocessing", str(self), "three numbers, RGB or BGR")
    if not all(s > 0 for s in self.std):
      raise ConfigError("preprocessing", "std", str(self.std), "positive numbers")

  def __call__(self, images: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """RGB pixels 0 to 255, `[..., 3]`, uint8 or float, to what the network takes, in `dtype`."""
    if self.channels == "BGR":
      images = images[..., ::-1]
    # In float32: eight bits of bfloat16 hold neither most means nor most quotients.
    scaled = (tf.cast(images, tf.float32) - tf.constant(self.mean)) / tf.constant(self.std)
    return tf.cast(scaled, dtype)

  def to_json(self) -> dict[str, Any]:
    """For a checkpoint's notes; `from_json` reads it."""
    return {"mean": list(self.mean), "std": list(self.std), "channels": self.channels}


def from_json(stored: Mapping[str, Any]) -> Preprocessing:
  """The preprocessing of a note that `to_json` made; other keys of the note are left alone."""
  try:
    return Preprocessing(tuple(map(float, stored["mean"])), tuple(map(float, stored["std"])),
                         str(stored["channels"]))
  except (KeyError, TypeError, ValueError) as e:
    raise ConfigError("preprocessing", "preprocessing", f"{str(stored)[:100]} ({e})",
                      "mean, std and channels") from e


# Pixels to [-1, 1], as Inception and the paper.
UNIT_RANGE = Preprocessing()
# The mean of ImageNet subtracted and nothing divided: Caffe's pictures are BGR, slim's RGB.
CAFFE = Preprocessing((103.939, 116.779, 123.68), (1.0, 1.0, 1.0), "BGR")
SLIM = Preprocessing((123.68, 116.78, 103.94), (1.0, 1.0, 1.0))
# Mean and deviation of ImageNet on [0, 1]: torchvision, timm and Model Garden.
STANDARDISED = Preprocessing(
    tuple(255 * m for m in (0.485, 0.456, 0.406)), tuple(255 * s for s in (0.229, 0.224, 0.225)))
