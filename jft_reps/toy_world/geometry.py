"""Outlines from which the shapes of the toy world are put together.

Every function returns a closed polygon, float64 `[n, 2]`, as (x, y) with y pointing down,
in the free units of the shape; `Shape.of` brings a finished shape to the unit frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

# What a part is painted with. NONE is background; OUTLINE is drawn by the renderer.
NONE, OUTLINE, BODY, PATTERN, SHADE, ACCENT, DARK, LIGHT, GREEN, WOOD, SKIN = range(11)

Part = tuple[int, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
  """Parts in painting order, in a frame where the longer half side is 1.

  Attributes:
    points: float64 `[points, 2]`, all polygons one after another, (x, y), y down.
    stops: end of each polygon in `points`.
    roles: what each polygon is painted with (`BODY`, `ACCENT`, …).
    joints: float64 `[keypoints, 2]` in the same frame, or None.
  """

  points: np.ndarray
  stops: tuple[int, ...]
  roles: tuple[int, ...]
  joints: np.ndarray | None = None

  @classmethod
  def of(cls, parts: Sequence[Part], joints: np.ndarray | None = None) -> Shape:
    """Centres and scales parts given in any units."""
    points = np.concatenate([polygon for _, polygon in parts])
    low, high = points.min(0), points.max(0)
    centre, scale = (low + high) / 2, 2 / (high - low).max()
    return cls(
        points=(points - centre) * scale,
        stops=tuple(np.cumsum([len(polygon) for _, polygon in parts]).tolist()),
        roles=tuple(role for role, _ in parts),
        joints=None if joints is None else (joints - centre) * scale,
    )


def polygon(*coordinates: float) -> np.ndarray:
  """A polygon from x0, y0, x1, y1, …"""
  return np.array(coordinates, np.float64).reshape(-1, 2)


def blob(*coordinates: float, rounds: int = 2) -> np.ndarray:
  """A polygon with its corners cut `rounds` times (Chaikin 1974), so that it looks grown."""
  points = polygon(*coordinates)
  for _ in range(rounds):
    after = np.roll(points, -1, axis=0)
    points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], 1)
    points = points.reshape(-1, 2)
  return points


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
  """An upright rectangle."""
  return polygon(left, top, right, top, right, bottom, left, bottom)


def ellipse(
    x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0,
    start: float = 0.0, stop: float = 360.0, corners: int = 20,
) -> np.ndarray:
  """An ellipse, or the segment of it between two angles (degrees, clockwise from right)."""
  full = stop - start >= 360
  angles = np.radians(np.linspace(start, stop, corners, endpoint=not full))
  points = np.stack([rx * np.cos(angles), (rx if ry is None else ry) * np.sin(angles)], 1)
  return rotate(points, turn) + (x, y)


def limb(x0: float, y0: float, x1: float, y1: float, w0: float, w1: float | None = None):
  """A rounded bar from one point to another with half widths `w0` and `w1`: `[12, 2]`."""
  w1 = w0 if w1 is None else w1
  heading = np.arctan2(y1 - y0, x1 - x0)
  turn = heading + _HALF_TURN
  cosine, sine = np.cos(turn), np.sin(turn)
  points = np.empty((12, 2))
  points[:6, 0], points[:6, 1] = x1 + w1 * cosine[:6], y1 + w1 * sine[:6]
  points[6:, 0], points[6:, 1] = x0 + w0 * cosine[6:], y0 + w0 * sine[6:]
  return points


_HALF_TURN = np.concatenate([
    np.linspace(-np.pi / 2, np.pi / 2, 6), np.linspace(np.pi / 2, 1.5 * np.pi, 6)])


def star(x: float, y: float, tips: int, outer: float, inner: float, turn: float = 0.0):
  """A star whose first tip points up: `[2 * tips, 2]`."""
  angles = np.pi * np.arange(2 * tips) / tips - np.pi / 2
  radii = np.where(np.arange(2 * tips) % 2 == 0, outer, inner)
  return rotate(np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1), turn) + (x, y)


def arc(
    x: float, y: float, outer: float, inner: float, start: float, stop: float, corners: int = 14,
) -> np.ndarray:
  """A band between two radii from one angle to another (degrees, clockwise from right)."""
  angles = np.radians(np.linspace(start, stop, corners))
  ray = np.stack([np.cos(angles), np.sin(angles)], 1)
  return np.concatenate([outer * ray, inner * ray[::-1]]) + (x, y)


def rotate(points: np.ndarray, degrees: float) -> np.ndarray:
  """Points turned clockwise about the origin."""
  angle = np.radians(degrees)
  cosine, sine = np.cos(angle), np.sin(angle)
  return points @ np.array([[cosine, sine], [-sine, cosine]])


def around(x: float, y: float, count: int, petal: np.ndarray, start: float = 0.0):
  """`petal`, drawn pointing up from the origin, `count` times around (x, y)."""
  return [rotate(petal, start + 360 * i / count) + (x, y) for i in range(count)]


def eye(x: float, y: float, size: float = 0.7) -> list[Part]:
  """A white eye with its pupil."""
  return [
      (LIGHT, ellipse(x, y, size, corners=10)),
      (DARK, ellipse(x + 0.15 * size, y, 0.55 * size, corners=8)),
  ]


def wheel(x: float, y: float, size: float) -> list[Part]:
  """A tyre with its hub."""
  return [(DARK, ellipse(x, y, size, corners=16)), (LIGHT, ellipse(x, y, 0.42 * size, corners=8))]
