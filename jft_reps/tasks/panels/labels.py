"""Pictures with their labels for TensorBoard: truth on the left, prediction on the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SIDE, _LINE, _LINES = 200, 14, 6
_INK, _HIT, _MISS, _PAPER = (30, 30, 30), (20, 130, 50), (170, 60, 40), (250, 250, 248)


def panels(images: np.ndarray, truth: Sequence[Sequence[str]],
           predicted: Sequence[Sequence[tuple[str, float]]]) -> np.ndarray:
  """Two panels per picture.

  Args:
    images: uint8 `[n, height, width, 3]`.
    truth: names of each picture's labels, the most specific first.
    predicted: (name, probability) of each picture's best classes; hits are green, misses red.

  Returns:
    uint8 `[n, panel height, panel width, 3]`.
  """
  return np.stack([
      np.concatenate([
          _panel(image, "truth", [(name, _INK) for name in names]),
          _panel(image, "prediction", [
              (f"{p:4.0%} {name}", _HIT if name in set(names) else _MISS) for name, p in best]),
      ], axis=1)
      for image, names, best in zip(images, truth, predicted)])


def _panel(image: np.ndarray, title: str, lines: Sequence[tuple[str, tuple]]) -> np.ndarray:
  canvas = Image.new("RGB", (_SIDE + 8, _SIDE + 8 + (_LINES + 1) * _LINE), _PAPER)
  canvas.paste(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR), (4, 4))
  draw, font = ImageDraw.Draw(canvas), ImageFont.load_default()
  more = len(lines) - _LINES
  shown = list(lines[:_LINES]) if more <= 0 else [
      *lines[:_LINES - 1], (f"and {more + 1} more", _INK)]
  for row, (text, colour) in enumerate([(title, (120, 120, 120)), *shown]):
    plain = text[:34].encode("latin-1", "replace").decode("latin-1")
    draw.text((6, _SIDE + 6 + row * _LINE), plain, fill=colour, font=font)
  return np.asarray(canvas)
