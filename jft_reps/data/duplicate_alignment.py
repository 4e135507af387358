"""How alike two thumbnails are, once one is laid over the other.

The views in which two hashes agree say roughly where; enhanced correlation maximisation
(Evangelidis and Psarakis, PAMI 2008) finds the affine map from there. Neither brightness nor
contrast counts.
"""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from jft_reps.data import perceptual_hash

_SIDE = perceptual_hash.THUMB
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 1e-3)
_MOST_STRETCH = 1.5
_LEAST_PART = 0.3  # of the picture, which has to be compared
_Y, _X = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)


def similarity(one: np.ndarray, other: np.ndarray, views: tuple[int, int] = (0, 0),
               symmetry: perceptual_hash.Symmetry = perceptual_hash.SYMMETRIES[0],
               aspect: float = 1.0, enough: float = 0.98) -> float:
  """Normalised correlation of two aligned thumbnails where they overlap, in [-1, 1].

  Only the part inside of the other's view counts, so that a caption beside it does no harm.

  Args:
    one: uint8 `[THUMB, THUMB]`, brought to the other by `symmetry` and the views.
    other: likewise.
    views: those in which their hashes agree, the other's without rotation.
    symmetry: after which they do.
    aspect: width over height of the first picture.
    enough: without alignment; less is aligned first.
  """
  moved = np.ascontiguousarray(symmetry.of_pixels(one), np.float32)
  fixed = np.ascontiguousarray(other, np.float32)
  start, cut = _start(views, symmetry.mirrors, 1 / aspect if symmetry.transpose else aspect)
  found = _correlation(moved, fixed, start, cut)
  if found >= enough:
    return found
  aligned = _aligned(moved, fixed, start, cut)
  return found if aligned is None else max(found, _correlation(moved, fixed, aligned, cut))


@functools.lru_cache(4096)
def _start(views: tuple[int, int], mirrors: bool, aspect: float) -> tuple[np.ndarray, int]:
  """Map from a pixel (x, y) of the other to one of the first, and what the other's view cuts."""
  of_one, of_other = (perceptual_hash.VIEWS[v] for v in views)
  if mirrors:
    of_one = of_one._replace(degrees=-of_one.degrees)
  to_one, to_other = (
      np.vstack([perceptual_hash.sampling(view, _SIDE, _SIDE, aspect), [0, 0, 1]])
      for view in (of_one, of_other))
  matrix = (to_one @ np.linalg.inv(to_other))[:2]
  return matrix.astype(np.float32), math.ceil(of_other.cut * _SIDE - 0.01)


def _aligned(moved: np.ndarray, fixed: np.ndarray, start: np.ndarray, cut: int
             ) -> np.ndarray | None:
  """The map improved; None where it does not converge, or would squeeze one into the other."""
  inner = np.ascontiguousarray(fixed[cut:_SIDE - cut, cut:_SIDE - cut])
  if inner.std() < perceptual_hash.FLAT or moved.std() < perceptual_hash.FLAT:
    return None
  matrix, shift = start.copy(), np.full(2, cut, np.float32)
  matrix[:, 2] += matrix[:, :2] @ shift
  try:
    _, matrix = cv2.findTransformECC(inner, moved, matrix, cv2.MOTION_AFFINE, _STOP, None, 1)
  except cv2.error:
    return None
  stretch = np.linalg.svd(matrix[:, :2], compute_uv=False)
  if not np.isfinite(matrix).all() or stretch[0] > _MOST_STRETCH or stretch[1] < 1 / _MOST_STRETCH:
    return None
  matrix[:, 2] -= matrix[:, :2] @ shift
  return matrix


def _correlation(moved: np.ndarray, fixed: np.ndarray, matrix: np.ndarray, cut: int) -> float:
  x, y = (row[0] * _X + row[1] * _Y + row[2] for row in matrix)
  inside = (x > 0) & (x < _SIDE - 1) & (y > 0) & (y < _SIDE - 1)
  if cut:
    inside[:cut] = inside[-cut:] = inside[:, :cut] = inside[:, -cut:] = False
  if inside.sum() < _LEAST_PART * _SIDE**2:
    return -1.0
  laid = cv2.warpAffine(moved, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REPLICATE,
                        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
  a, b = laid[inside], fixed[inside]
  a, b = a - a.mean(), b - b.mean()
  spread = math.sqrt(float(a @ a) * float(b @ b))
  return float(a @ b) / spread if spread >= perceptual_hash.FLAT**2 * a.size else -1.0
