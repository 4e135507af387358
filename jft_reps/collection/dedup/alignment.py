"""How alike two thumbnails are, once one is laid over the other.

The views in which two hashes agree say roughly where; enhanced correlation maximisation
(Evangelidis and Psarakis, PAMI 2008) finds the affine map from there, on halved thumbnails first.
Neither brightness nor contrast counts.

Pictures of one layout (forms, cards, faces, labels on white) agree in what is large. So the fine
structure has to agree as well: edges and texture of two to four pixels of the thumbnail.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import cv2
import numpy as np

from jft_reps.collection.dedup import perceptual_hash

_COARSE, _FINE = perceptual_hash.COARSE, perceptual_hash.THUMB
_COUNTS = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT
_STOP = {_COARSE: (_COUNTS, 15, 1e-3), _FINE: (_COUNTS, 25, 1e-4)}
_MOST_STRETCH = 1.5
_LEAST_PART = 0.3  # of the picture, which has to be compared
_INNER = 0.125  # cut at each side before details are compared: a caption, a frame
_PIXEL, _BAND = 0.7, 1.5  # standard deviations in pixels of the blurs between which details lie
_NOISE = 3.0  # standard deviation of details, in grey levels, that recompression alone makes
_SURE = 0.99  # correlation of details that no finer alignment is needed for
_PLACES = {side: np.mgrid[:side, :side].astype(np.float32) for side in (_COARSE, _FINE)}


class Likeness(NamedTuple):
  """Of two aligned thumbnails.

  Attributes:
    whole: normalised correlation where they overlap, in [-1, 1].
    detail: that of their fine structure; -1 where `whole` was not enough to look at it.
  """

  whole: float
  detail: float


def likeness(one: np.ndarray, other: np.ndarray, views: tuple[int, int] = (0, 0),
             symmetry: perceptual_hash.Symmetry = perceptual_hash.SYMMETRIES[0],
             aspect: float = 1.0, least: float = -1.0) -> Likeness:
  """Aligns and compares.

  Only the part inside of the other's view counts, so that a caption beside it does no harm.

  Args:
    one: uint8 `[THUMB, THUMB]`, brought to the other by `symmetry` and the views.
    other: likewise.
    views: those in which their hashes agree, the other's without rotation.
    symmetry: after which they do.
    aspect: width over height of the first picture.
    least: correlation above which details are looked at.
  """
  moved = np.ascontiguousarray(symmetry.of_pixels(one), np.float32)
  fixed = np.ascontiguousarray(other, np.float32)
  if np.array_equal(moved, fixed):
    return Likeness(1.0, 1.0)
  start, cut = _start(views, symmetry.mirrors, 1 / aspect if symmetry.transpose else aspect)
  whole, matrix = _best(_halved(moved), _halved(fixed), start, cut, 0.98)
  if whole <= least:
    return Likeness(whole, -1.0)
  finer = matrix.copy()
  finer[:, 2] = 2 * matrix[:, 2] + 0.5 - 0.5 * matrix[:, :2].sum(1)
  detail = _detail(moved, fixed, finer, 2 * cut)
  if detail < _SURE:
    _, finer = _best(moved, fixed, finer, 2 * cut)
    detail = max(detail, _detail(moved, fixed, finer, 2 * cut))
  return Likeness(whole, detail)


def _halved(thumb: np.ndarray) -> np.ndarray:
  return cv2.resize(thumb, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)


@functools.lru_cache(4096)
def _start(views: tuple[int, int], mirrors: bool, aspect: float) -> tuple[np.ndarray, int]:
  """Map from a pixel (x, y) of the other to one of the first, and what the other's view cuts."""
  of_one, of_other = (perceptual_hash.VIEWS[v] for v in views)
  if mirrors:
    of_one = of_one._replace(degrees=-of_one.degrees)
  to_one, to_other = (
      np.vstack([perceptual_hash.sampling(view, _COARSE, _COARSE, aspect), [0, 0, 1]])
      for view in (of_one, of_other))
  matrix = (to_one @ np.linalg.inv(to_other))[:2]
  return matrix.astype(np.float32), math.ceil(of_other.cut * _COARSE - 0.01)


def _best(moved: np.ndarray, fixed: np.ndarray, start: np.ndarray, cut: int, enough: float = 1.0
          ) -> tuple[float, np.ndarray]:
  """The better of a map and the map improved, with its correlation; at once where it is enough."""
  found = _correlation(moved, fixed, start, cut)
  if found >= enough:
    return found, start
  aligned = _aligned(moved, fixed, start, cut)
  if aligned is None:
    return found, start
  better = _correlation(moved, fixed, aligned, cut)
  return (better, aligned) if better > found else (found, start)


def _aligned(moved: np.ndarray, fixed: np.ndarray, start: np.ndarray, cut: int
             ) -> np.ndarray | None:
  """The map improved; None where it does not converge, or would squeeze one into the other."""
  side = len(fixed)
  inner = np.ascontiguousarray(fixed[cut:side - cut, cut:side - cut])
  if inner.std() < perceptual_hash.FLAT or moved.std() < perceptual_hash.FLAT:
    return None
  matrix, shift = start.copy(), np.full(2, cut, np.float32)
  matrix[:, 2] += matrix[:, :2] @ shift
  try:
    _, matrix = cv2.findTransformECC(  # type: ignore[call-overload]  # its stubs know no None
        inner, moved, matrix, cv2.MOTION_AFFINE, _STOP[side], None, 1)
  except cv2.error:
    return None
  stretch = np.linalg.svd(matrix[:, :2], compute_uv=False)
  if not np.isfinite(matrix).all() or stretch[0] > _MOST_STRETCH or stretch[1] < 1 / _MOST_STRETCH:
    return None
  matrix[:, 2] -= matrix[:, :2] @ shift
  return matrix


def _inside(side: int, matrix: np.ndarray, cut: int) -> np.ndarray:
  """Bool `[side, side]`: pixels of the other, but for a margin, that lie in the first."""
  rows, columns = _PLACES[side]
  x, y = (row[0] * columns + row[1] * rows + row[2] for row in matrix)
  inside = (x > 0) & (x < side - 1) & (y > 0) & (y < side - 1)
  if cut:
    inside[:cut] = inside[-cut:] = inside[:, :cut] = inside[:, -cut:] = False
  return inside


def _laid(moved: np.ndarray, matrix: np.ndarray, how: int) -> np.ndarray:
  return cv2.warpAffine(moved, matrix, moved.shape, borderMode=cv2.BORDER_REPLICATE,
                        flags=how | cv2.WARP_INVERSE_MAP)


def _correlation(moved: np.ndarray, fixed: np.ndarray, matrix: np.ndarray, cut: int) -> float:
  inside = _inside(len(fixed), matrix, cut)
  if inside.sum() < _LEAST_PART * fixed.size:
    return -1.0
  a, b = _laid(moved, matrix, cv2.INTER_LINEAR)[inside], fixed[inside]
  a, b = a - a.mean(), b - b.mean()
  spread = math.sqrt(float(a @ a) * float(b @ b))
  return float(a @ b) / spread if spread >= perceptual_hash.FLAT**2 * a.size else -1.0


def _detail(moved: np.ndarray, fixed: np.ndarray, matrix: np.ndarray, cut: int) -> float:
  """Correlation of what is left between two blurs, in the inner part."""
  inside = _inside(_FINE, matrix, max(cut, math.ceil(_INNER * _FINE)))
  if not inside.any():
    return -1.0
  a, b = (_band(p)[inside] for p in (_laid(moved, matrix, cv2.INTER_CUBIC), fixed))
  spread, noise = math.sqrt(float(a @ a) * float(b @ b)), _NOISE**2 * a.size
  return (float(a @ b) + noise) / (spread + noise)


def _band(pixels: np.ndarray) -> np.ndarray:
  smooth = cv2.GaussianBlur(pixels, (0, 0), _PIXEL)
  return smooth - cv2.GaussianBlur(smooth, (0, 0), _BAND)
