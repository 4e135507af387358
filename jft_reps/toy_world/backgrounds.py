"""Calm backgrounds of the toy world: soft gradients, faint clutter, fine grain."""

from __future__ import annotations

import functools

import cv2
import numpy as np

DRAWS = 96
_SHIFT = 4


def background(draws: np.ndarray, size: int) -> np.ndarray:
  """A background, uint8 `[size, size, 3]`, from `DRAWS` uniform numbers."""
  image, tone = _gradient(draws, size)
  _clutter(image, tone, draws[24:90], size)
  return _grain(image, draws[90:96], size)


def _gradient(draws: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
  """A field of two close hues, bright above or below, and its mean colour."""
  hue = draws[0]
  value = 0.42 + 0.5 * draws[1] ** 0.6
  saturation = 0.06 + 0.27 * draws[2]
  first = _rgb(hue, saturation, value)
  second = _rgb(hue + 0.22 * (draws[3] - 0.5), saturation, value + 0.24 * (draws[4] - 0.5))
  # A tilted ramp on a coarse grid, bent by a little noise; cubic interpolation makes it soft.
  grid = np.linspace(0, 1, 4)
  slope = draws[5] - 0.5
  ramp = grid[:, None] + slope * (grid[None, :] - 0.5) + 0.35 * (draws[8:24].reshape(4, 4) - 0.5)
  coarse = first + (second - first) * np.clip(ramp, 0, 1)[:, :, None]
  image = cv2.resize(coarse.astype(np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
  return image, (first + second) / 2


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
  """RGB, float64 `[3]`, 0 … 255."""
  distance = np.abs((hue + _THIRDS) % 1.0 - 0.5) * 6 - 1
  pure = np.clip(distance, 0, 1)
  return 255 * min(max(value, 0.25), 0.97) * (1 - saturation + saturation * pure)


_THIRDS = np.array([0.5, 0.5 - 1 / 3, 0.5 - 2 / 3])


def _clutter(image: np.ndarray, tone: np.ndarray, draws: np.ndarray, size: int) -> None:
  """Faint discs, shards and strokes in tones near the background's, blended in at half weight."""
  layer = image.copy()
  unit = size << _SHIFT
  for i in range(3 + int(draws[0] * 6)):
    x, y, reach, turn, kind, r, g = draws[1 + 7 * i : 8 + 7 * i]
    light = 52 if i % 2 else -52
    colour = (tone + (light + 50 * (r - 0.5), light, light + 50 * (g - 0.5))).tolist()
    centre, radius = (int(x * unit), int(y * unit)), (0.04 + 0.16 * reach * reach) * unit
    if kind < 0.45:
      cv2.circle(layer, centre, int(radius), colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    elif kind < 0.75:
      angles = 2 * np.pi * (turn + np.array([0, 0.3 + 0.1 * r, 0.6 + 0.2 * g]))
      corners = np.stack([np.cos(angles), np.sin(angles)], 1) * radius + centre
      cv2.fillConvexPoly(layer, corners.astype(np.int32), colour, cv2.LINE_AA, _SHIFT)
    else:
      tip = (int(centre[0] + 2 * radius * np.cos(6.3 * turn)),
             int(centre[1] + 2 * radius * np.sin(6.3 * turn)))
      cv2.line(layer, centre, tip, colour, max(1, size // 48), cv2.LINE_AA, _SHIFT)
  cv2.addWeighted(image, 0.5, layer, 0.5, 0, image)


def _grain(image: np.ndarray, draws: np.ndarray, size: int) -> np.ndarray:
  """Adds fine noise around zero."""
  bank = _noise(size)
  top, left = int(draws[0] * size), int(draws[1] * size)
  return cv2.addWeighted(image, 1.0, bank[top : top + size, left : left + size], 1.0, -16)


@functools.cache
def _noise(size: int) -> np.ndarray:
  rng = np.random.Generator(np.random.PCG64(7))
  values = 16 + 4 * (rng.random((2 * size, 2 * size, 3)) + rng.random((2 * size, 2 * size, 1)) - 1)
  return np.round(values).astype(np.uint8)
