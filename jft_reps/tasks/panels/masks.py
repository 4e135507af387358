"""Pictures under masks for TensorBoard: ground truth on the left, prediction on the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jft_reps.metrics import mask_files
from jft_reps.tasks.panels import canvas

_VOID = 255


def panel(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray,
          labels: Sequence[str] | None = None) -> np.ndarray:
  """uint8 `[480, 966, 3]`: the picture twice under VOC's colours, of which 0 is clear.

  Args:
    image: uint8 `[height, width, 3]`.
    truth: uint8 `[height, width]` class ids; void (255) hides the picture.
    predicted: the same.
    labels: names of the classes for a line at the bottom with those that are there, the largest
      first, as many as fit.
  """
  return canvas.beside(*(_drawn(image, mask, labels or ()) for mask in (truth, predicted)))


def _drawn(image: np.ndarray, mask: np.ndarray, labels: Sequence[str]) -> Image.Image:
  picture, _ = canvas.scaled(image)
  ids = np.asarray(Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST))
  opacity = np.full(256, 160, np.uint8)
  opacity[[0, _VOID]] = 0, 255
  picture.paste(Image.fromarray(mask_files.palette()[ids]), (0, 0), Image.fromarray(opacity[ids]))
  drawn = canvas.square(picture)
  counts = np.bincount(mask.ravel(), minlength=256)[:len(labels)]
  there = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
  _name(drawn, [(labels[i], tuple(mask_files.palette()[i].tolist())) for i in there])
  return drawn


def _name(drawn: Image.Image, classes: Sequence[tuple[str, tuple[int, int, int]]]) -> None:
  """Writes names on plates of their colours along the bottom, until one does not fit."""
  draw, font, left = ImageDraw.Draw(drawn), ImageFont.load_default(), 4
  for name, colour in classes:
    plain = name.encode("latin-1", "replace").decode("latin-1")
    right = left + int(draw.textlength(plain, font=font)) + 8
    if right > canvas.SIDE:
      return
    draw.rectangle([left, canvas.SIDE - 18, right, canvas.SIDE - 4], fill=colour)
    light = sum(colour) > 3 * 128
    draw.text((left + 4, canvas.SIDE - 17), plain, fill=(0, 0, 0) if light else (255, 255, 255),
              font=font)
    left = right + 4
