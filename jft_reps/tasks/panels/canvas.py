"""What panels share: a picture on a grey square, truth and prediction side by side, colours."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image

SIDE = 480  # pixels of each square
_GAP = 6
_GREY = (40, 40, 40)
_GOLDEN = 0.618034  # of the circle of hues: neighbours in number are far apart in colour


def scaled(image: np.ndarray) -> tuple[Image.Image, float]:
  """A picture uint8 `[height, width, 3]` with its longer side as its square's; the factor to it."""
  factor = SIDE / max(image.shape[:2])
  height, width = (max(1, round(side * factor)) for side in image.shape[:2])
  return Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), factor


def square(picture: Image.Image) -> Image.Image:
  """The picture at the top left of a grey square."""
  canvas = Image.new("RGB", (SIDE, SIDE), _GREY)
  canvas.paste(picture, (0, 0))
  return canvas


def beside(left: Image.Image, right: Image.Image) -> np.ndarray:
  """uint8 `[480, 966, 3]`: two squares with a white gap."""
  gap = np.full((SIDE, _GAP, 3), 255, np.uint8)
  return np.concatenate([np.asarray(left), gap, np.asarray(right)], axis=1)


def colour(index: int) -> tuple[int, int, int]:
  """One bright colour per number, far from its neighbours'."""
  red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1.0, 0.75, 1.0)
  return int(255 * red), int(255 * green), int(255 * blue)
