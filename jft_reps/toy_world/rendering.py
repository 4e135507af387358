"""Draws objects of the toy world: parts as small label maps, then palette, shadow and blending.

An object is drawn at twice the picture's resolution into a label map of its own window, so that
pattern, outline and mask come from the same pixels, then averaged down. Coordinates are continuous:
pixel i covers [i, i + 1).
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from jft_reps.toy_world import textures
from jft_reps.toy_world.geometry import (
  ACCENT,
  BODY,
  DARK,
  GREEN,
  LIGHT,
  NONE,
  OUTLINE,
  PATTERN,
  SHADE,
  SKIN,
  WOOD,
  Shape,
)

# One picture is too small to share between threads, and pictures are drawn in several processes.
cv2.setNumThreads(1)

_SHIFT = 4
_MARGIN = 3
_KERNELS = {n: cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (n, n)) for n in (2, 3, 5, 7)}


@dataclasses.dataclass(frozen=True, eq=False)
class Placed:
  """An object in a picture.

  Attributes:
    shape: what it is drawn from.
    texture: name of its pattern.
    palette: uint8 `[11, 4]`, premultiplied RGBA for each role.
    matrix: float64 `[2, 3]`, from the shape's frame to normalised picture coordinates (x, y).
    drift: shift of the pattern in the shape's frame, (x, y).
  """

  shape: Shape
  texture: str
  palette: np.ndarray
  matrix: np.ndarray
  drift: tuple[float, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Patch:
  """A drawn object: premultiplied RGBA, uint8 `[height, width, 4]`, and its corner."""

  top: int
  left: int
  rgba: np.ndarray

  @property
  def window(self) -> tuple[slice, slice]:
    height, width = self.rgba.shape[:2]
    return slice(self.top, self.top + height), slice(self.left, self.left + width)

  @property
  def covered(self) -> np.ndarray:
    """Bool `[height, width]`: pixels of which the object covers at least half."""
    return self.rgba[:, :, 3] >= 128


def draw(placed: Placed, size: int) -> Patch:
  """The object in its window of a `size` x `size` picture; the window lies inside the picture."""
  points = (placed.shape.points @ placed.matrix[:, :2].T + placed.matrix[:, 2]) * size
  low = np.maximum(np.floor(points.min(0)).astype(int) - _MARGIN, 0)
  high = np.minimum(np.ceil(points.max(0)).astype(int) + _MARGIN, size)
  left, top = int(low[0]), int(low[1])
  width, height = int(high[0]) - left, int(high[1]) - top
  parts = _parts(placed.shape, 2 * (points - low) - 0.5, 2 * width, 2 * height)
  line = cv2.morphologyEx(parts, cv2.MORPH_GRADIENT, _KERNELS[_line_width(size)])
  if placed.texture != "plain":
    _weave(parts, placed, size, low)
  parts[line > 0] = OUTLINE
  rgba = placed.palette.view(np.uint32)[:, 0][parts].view(np.uint8).reshape(*parts.shape, 4)
  return Patch(top, left, cv2.resize(rgba, (width, height), interpolation=cv2.INTER_AREA))


def _line_width(size: int) -> int:
  return 2 if size < 80 else 3 if size < 160 else 5 if size < 280 else 7


def _parts(shape: Shape, points: np.ndarray, width: int, height: int) -> np.ndarray:
  parts = np.zeros((height, width), np.uint8)
  fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
  start = 0
  for stop, role in zip(shape.stops, shape.roles):
    cv2.fillPoly(parts, [fixed[start:stop]], role, cv2.LINE_8, _SHIFT)
    start = stop
  return parts


def _weave(parts: np.ndarray, placed: Placed, size: int, low: np.ndarray) -> None:
  """Paints the pattern onto the body, in place."""
  # From twice-resolution window pixels back to the shape's frame, then to pixels of the tile.
  back = np.linalg.inv(placed.matrix[:, :2])
  per_pixel = back / (2 * size)
  origin = back @ ((low + 0.25) / size - placed.matrix[:, 2]) + placed.drift
  scale = textures.TILE / (2 * textures.EXTENT)
  matrix = np.column_stack([per_pixel * scale, origin * scale + textures.TILE / 2])
  height, width = parts.shape
  woven = cv2.warpAffine(
      textures.tile(placed.texture), matrix, (width, height),
      flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
  parts[(parts == BODY) & (woven > 0)] = PATTERN


def blend(image: np.ndarray, patch: Patch) -> None:
  """Lays a patch over a picture, uint8 `[size, size, 3]`, in place."""
  view = image[patch.window]
  keep = 256 - patch.rgba[:, :, 3:].astype(np.uint16)
  view[:] = ((view * keep) >> 8) + patch.rgba[:, :, :3]


def shadow(image: np.ndarray, patch: Patch) -> None:
  """Darkens a picture to the lower right of a patch, in place."""
  offset = max(1, image.shape[0] // 40)
  rows, columns = (slice(side.start + offset, side.stop + offset) for side in patch.window)
  view = image[rows, columns]
  height, width = view.shape[:2]
  soft = cv2.blur(patch.rgba[:, :, 3], (2 * offset + 1, 2 * offset + 1))[:height, :width, None]
  view[:] = (view * (256 - (soft * np.float32(0.3)).astype(np.uint16))) >> 8


def palette(colour: tuple[int, int, int], draws: np.ndarray) -> np.ndarray:
  """Premultiplied RGBA of every role for an object of one main colour: uint8 `[11, 4]`.

  Args:
    colour: RGB, 0 … 255.
    draws: `[4]` uniform numbers: brightness and one for each channel.
  """
  main = np.clip(np.array(colour) * (0.9 + 0.18 * draws[0]) + 24 * (draws[1:4] - 0.5), 8, 250)
  bright = main @ (0.3, 0.59, 0.11) > 150
  colours = np.zeros((11, 4))
  colours[OUTLINE] = (*(0.22 * main + 8), 255)
  colours[BODY] = (*main, 255)
  colours[PATTERN] = (*(0.5 * main if bright else 0.35 * main + 0.65 * 250), 255)
  colours[SHADE] = (*(0.76 * main), 255)
  colours[ACCENT] = (*(0.6 * main + 0.1 * 255 if bright else 0.5 * main + 0.5 * 255), 255)
  colours[DARK] = (52, 48, 58, 255)
  colours[LIGHT] = (250, 248, 240, 255)
  colours[GREEN] = (96, 150, 74, 255)
  colours[WOOD] = (136, 96, 66, 255)
  colours[SKIN] = (246, 208, 172, 255)
  colours[NONE] = 0
  return colours.astype(np.uint8)
