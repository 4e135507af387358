"""Surface patterns of the toy world, as two-valued tiles in the frame of the object.

A tile is uint8 `[TILE, TILE]` and covers [-EXTENT, EXTENT] squared, where an object reaches from
-1 to 1, so that a pattern turns and stretches with its object and may be shifted a little.
"""

from __future__ import annotations

import functools

import numpy as np

TILE, EXTENT = 384, 2.0

# The last four are never seen in pre-training.
SEEN = ("plain", "striped", "banded", "dotted", "checked", "ringed", "patched", "netted")
HELD_OUT = ("zigzag", "diamond", "wavy", "crossed")


@functools.cache
def tile(name: str) -> np.ndarray:
  """The tile of a texture: 1 where the second colour goes."""
  axis = (np.arange(TILE) + 0.5) / TILE * 2 * EXTENT - EXTENT
  x, y = np.meshgrid(axis, axis)
  return np.ascontiguousarray(_PATTERNS[name](x, y).astype(np.uint8))


def _wave(t: np.ndarray, period: float) -> np.ndarray:
  """Distance to the next multiple of `period`, in periods: 0 … 0.5."""
  return np.abs(t / period - np.round(t / period))


def _patched(x, y):
  field = sum(np.sin(a * x + b * y + c) for a, b, c in (
      (6.1, 2.3, 0.4), (-3.7, 5.9, 1.9), (1.3, -7.1, 4.0), (7.7, -4.1, 2.2)))
  return field > 0.35


def _dotted(x, y):
  p = 0.46
  first = _wave(x, p) ** 2 + _wave(y, p) ** 2
  second = _wave(x + p / 2, p) ** 2 + _wave(y + p / 2, p) ** 2
  return np.minimum(first, second) < 0.2**2


def _crossed(x, y):
  p = 0.5
  u, v = _wave(x, p), _wave(y, p)
  return ((u < 0.12) & (v < 0.34)) | ((v < 0.12) & (u < 0.34))


_PATTERNS = {
    "plain": lambda x, y: np.zeros_like(x),
    "striped": lambda x, y: _wave(x + 0.5 * y, 0.44) < 0.22,
    "banded": lambda x, y: _wave(y, 0.56) < 0.25,
    "dotted": _dotted,
    "checked": lambda x, y: np.sin(np.pi * x / 0.25) * np.sin(np.pi * y / 0.25) > 0,
    "ringed": lambda x, y: _wave(np.hypot(x, y), 0.42) < 0.2,
    "patched": _patched,
    "netted": lambda x, y: np.minimum(_wave(x - y, 0.5), _wave(x + y, 0.5)) < 0.11,
    "zigzag": lambda x, y: _wave(y + 0.7 * 0.5 * _wave(x, 0.5), 0.42) < 0.2,
    "diamond": lambda x, y: np.sin(np.pi * (x + 0.6 * y) / 0.3) * np.sin(
        np.pi * (x - 0.6 * y) / 0.3) > 0,
    "wavy": lambda x, y: _wave(x + 0.1 * np.sin(y * 2 * np.pi / 0.6), 0.4) < 0.2,
    "crossed": _crossed,
}
