"""Pictures with boxes for TensorBoard: ground truth on the left, prediction on the right."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SIDE = 480
Box = tuple[Sequence[float], int, str]


def panel(image: np.ndarray, truth: Sequence[Box], predicted: Sequence[Box]) -> np.ndarray:
  """uint8 `[480, 966, 3]`: the picture twice, with (box in its pixels, class index, text) on it.

  Args:
    image: uint8 `[height, width, 3]`.
    truth: what is in it.
    predicted: what was found, the best first; drawn last to first.
  """
  sides = [_drawn(image, boxes) for boxes in (truth, predicted)]
  gap = np.full((_SIDE, 6, 3), 255, np.uint8)
  return np.concatenate([sides[0], gap, sides[1]], axis=1)


def _drawn(image: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
  factor = _SIDE / max(image.shape[:2])
  height, width = (max(1, round(side * factor)) for side in image.shape[:2])
  canvas = Image.new("RGB", (_SIDE, _SIDE), (40, 40, 40))
  canvas.paste(Image.fromarray(image).resize((width, height), Image.BILINEAR), (0, 0))
  draw, font = ImageDraw.Draw(canvas), ImageFont.load_default()
  for (ymin, xmin, ymax, xmax), index, text in reversed(boxes):
    left, top, right, bottom = (v * factor for v in (xmin, ymin, xmax, ymax))
    colour = _colour(index)
    draw.rectangle([left, top, max(left, right), max(top, bottom)], outline=colour, width=2)
    plain = text.encode("latin-1", "replace").decode("latin-1")
    plate = draw.textbbox((left + 2, max(0, top - 11)), plain, font=font)
    draw.rectangle(plate, fill=colour)
    draw.text(plate[:2], plain, fill=(0, 0, 0), font=font, anchor="la")
  return np.asarray(canvas)


def _colour(index: int) -> tuple[int, int, int]:
  """One bright colour per class, far from its neighbours'."""
  return tuple(int(255 * c) for c in colorsys.hsv_to_rgb(index * 0.618034 % 1.0, 0.75, 1.0))
