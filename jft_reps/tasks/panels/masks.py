"""Pictures under masks for TensorBoard: ground truth on the left, prediction on the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jft_reps.metrics import mask_files

_SIDE = 480
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
  sides = [_drawn(image, mask, labels or ()) for mask in (truth, predicted)]
  gap = np.full((_SIDE, 6, 3), 255, np.uint8)
  return np.concatenate([sides[0], gap, sides[1]], axis=1)


def _drawn(image: np.ndarray, mask: np.ndarray, labels: Sequence[str]) -> np.ndarray:
  factor = _SIDE / max(image.shape[:2])
  height, width = (max(1, round(side * factor)) for side in image.shape[:2])
  picture = Image.fromarray(image).resize((width, height), Image.BILINEAR)
  ids = np.asarray(Image.fromarray(mask).resize((width, height), Image.NEAREST))
  opacity = np.full(256, 160, np.uint8)
  opacity[[0, _VOID]] = 0, 255
  picture.paste(Image.fromarray(mask_files.palette()[ids]), (0, 0), Image.fromarray(opacity[ids]))
  canvas = Image.new("RGB", (_SIDE, _SIDE), (40, 40, 40))
  canvas.paste(picture, (0, 0))
  counts = np.bincount(mask.ravel(), minlength=256)[:len(labels)]
  there = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
  _name(canvas, [(labels[i], tuple(mask_files.palette()[i].tolist())) for i in there])
  return np.asarray(canvas)


def _name(canvas: Image.Image, classes: Sequence[tuple[str, tuple[int, int, int]]]) -> None:
  """Writes names on plates of their colours along the bottom, until one does not fit."""
  draw, font, left = ImageDraw.Draw(canvas), ImageFont.load_default(), 4
  for name, colour in classes:
    plain = name.encode("latin-1", "replace").decode("latin-1")
    right = left + int(draw.textlength(plain, font=font)) + 8
    if right > _SIDE:
      return
    draw.rectangle([left, _SIDE - 18, right, _SIDE - 4], fill=colour)
    light = sum(colour) > 3 * 128
    draw.text((left + 4, _SIDE - 17), plain, fill=(0, 0, 0) if light else (255, 255, 255),
              font=font)
    left = right + 4
