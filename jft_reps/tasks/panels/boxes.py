"""Pictures with boxes for TensorBoard: ground truth on the left, prediction on the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jft_reps.tasks.panels import canvas

Box = tuple[Sequence[float], int, str]


def panel(image: np.ndarray, truth: Sequence[Box], predicted: Sequence[Box]) -> np.ndarray:
  """uint8 `[480, 966, 3]`: the picture twice, with (box in its pixels, class index, text) on it.

  Args:
    image: uint8 `[height, width, 3]`.
    truth: what is in it.
    predicted: what was found, the best first; drawn last to first.
  """
  return canvas.beside(_drawn(image, truth), _drawn(image, predicted))


def _drawn(image: np.ndarray, boxes: Sequence[Box]) -> Image.Image:
  picture, factor = canvas.scaled(image)
  drawn = canvas.square(picture)
  draw, font = ImageDraw.Draw(drawn), ImageFont.load_default()
  for (ymin, xmin, ymax, xmax), index, text in reversed(boxes):
    left, top, right, bottom = (v * factor for v in (xmin, ymin, xmax, ymax))
    colour = canvas.colour(index)
    draw.rectangle([left, top, max(left, right), max(top, bottom)], outline=colour, width=2)
    plain = text.encode("latin-1", "replace").decode("latin-1")
    plate = draw.textbbox((left + 2, max(0, top - 11)), plain, font=font)
    draw.rectangle(plate, fill=colour)
    draw.text(plate[:2], plain, fill=(0, 0, 0), font=font, anchor="la")
  return drawn
