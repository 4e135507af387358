"""Sheets of small pictures with captions, to look at many with one's own eyes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jft_reps.errors import printable

_GAP = 8
_LINE = 14
_BACKGROUND, _INK, _MISSING = (255, 255, 255), (20, 20, 20), (225, 225, 225)


class Tile(NamedTuple):
  """A picture with a line or two below it, cut to its width.

  Attributes:
    picture: uint8 `[height, width]` or `[height, width, 3]`; None leaves a grey field.
    caption: the line.
    second: the other one.
  """

  picture: np.ndarray | None
  caption: str = ""
  second: str = ""


def sheet(rows: Sequence[Sequence[Tile]], side: int = 160, title: str = "") -> Image.Image:
  """Rows of tiles, each picture fitted into a square, its aspect kept.

  Args:
    rows: may differ in length.
    side: of a tile in pixels.
    title: a line above all.
  """
  font = ImageFont.load_default(size=11)
  columns = max((len(row) for row in rows), default=1)
  top = _GAP + (_LINE if title else 0)
  pitch = side + _LINE * (2 if any(tile.second for row in rows for tile in row) else 1) + _GAP
  width, height = _GAP + columns * (side + _GAP), top + len(rows) * pitch
  found = Image.new("RGB", (width, max(height, top + _GAP)), _BACKGROUND)
  draw = ImageDraw.Draw(found)
  draw.text((_GAP, 3), _fitted(title, width - 2 * _GAP, font), _INK, font)
  for y, row in enumerate(rows):
    for x, tile in enumerate(row):
      left, upper = _GAP + x * (side + _GAP), top + y * pitch
      if tile.picture is None:
        draw.rectangle((left, upper, left + side - 1, upper + side - 1), _MISSING)
      else:
        small = _small(tile.picture, side)
        found.paste(small, (left + (side - small.width) // 2, upper + (side - small.height) // 2))
      for line, text in enumerate((tile.caption, tile.second)):
        draw.text((left, upper + side + line * _LINE), _fitted(text, side, font), _INK, font)
  return found


def grid(tiles: Iterable[Tile], columns: int, side: int = 160, title: str = "") -> Image.Image:
  """Tiles from left to right, a new row after every `columns`."""
  tiles = list(tiles)
  rows = [tiles[i:i + columns] for i in range(0, len(tiles), columns)]
  return sheet(rows, side, title)


def _small(picture: np.ndarray, side: int) -> Image.Image:
  image = Image.fromarray(np.asarray(picture, np.uint8)).convert("RGB")
  scale = side / max(image.size)
  size = [max(1, math.floor(s * scale + 0.5)) for s in image.size]
  return image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)


def _fitted(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
  """The text in one line and printable, its middle left out where it is too long."""
  text = printable(text, 400)
  if font.getlength(text) <= width:
    return text
  kept = len(text)
  while kept and font.getlength(_cut(text, kept)) > width:
    kept -= 1
  return _cut(text, kept)


def _cut(text: str, kept: int) -> str:
  return f"{text[:kept // 2]}…{text[len(text) - (kept - kept // 2):]}" if kept else ""
