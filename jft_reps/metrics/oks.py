"""Object keypoint similarity, COCO's overlap of poses (cocodataset.org, "Keypoint Evaluation").

OKS is the mean of exp(-d² / 2 s² k²) over the labelled points of a person, where d is how far the
found point lies from the true one, s² the person's area and k = 2 sigma a constant of the keypoint:
sigma is the deviation of several annotators relative to s. It is 1 for the same pose, and 0.61 if
every point is off by its own s k.

Points are (y, x) in pixels, pixel centres at +0.5, boxes [ymin, xmin, ymax, xmax].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def oks(found: np.ndarray, true: np.ndarray, areas: np.ndarray, boxes: np.ndarray,
        sigmas: Sequence[float]) -> np.ndarray:
  """Similarity of each pose to each person, as pycocotools' `computeOks` has it.

  A person without labelled points stands for a region: d is how far a found point lies outside of
  twice the person's box on either side, and the mean is over all points.

  Args:
    found: `[m, K, 2]`.
    true: `[n, K, 3]` (y, x, visibility), 0 where a point is not labelled.
    areas: `[n]` square pixels.
    boxes: `[n, 4]`.
    sigmas: `[K]`.

  Returns:
    float64 `[m, n]`.
  """
  found, true, areas, boxes = (np.asarray(a, np.float64) for a in (found, true, areas, boxes))
  labelled = true[..., 2] > 0
  none = np.count_nonzero(labelled, axis=1) == 0
  offsets = found[:, None] - true[None, ..., :2]
  size = boxes[:, 2:] - boxes[:, :2]
  index = found[:, None] - 0.5  # COCO holds pixel indices against the edges of a box
  low, high = (boxes[:, :2] - size)[:, None], (boxes[:, 2:] + size)[:, None]
  beyond = np.maximum(low - index, 0) + np.maximum(index - high, 0)
  squares = np.sum(np.where(none[:, None, None], beyond, offsets)**2, axis=-1)
  return _mean(squares, areas, sigmas, labelled | none[:, None])


def similarity(poses: np.ndarray, areas: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
  """Similarity of poses to one another, symmetric: the area is the mean of both.

  Args:
    poses: `[m, K, 2]`.
    areas: `[m]` square pixels.
    sigmas: `[K]`.

  Returns:
    float64 `[m, m]`.
  """
  poses, areas = np.asarray(poses, np.float64), np.asarray(areas, np.float64)
  squares = np.sum((poses[:, None] - poses[None])**2, axis=-1)
  return _mean(squares, (areas[:, None] + areas) / 2, sigmas, np.ones(poses.shape[1], bool))


def suppress(points: np.ndarray, scores: np.ndarray, areas: np.ndarray, sigmas: Sequence[float],
             threshold: float = 0.5) -> np.ndarray:
  """Non-maximum suppression by OKS (Papandreou et al. 2017, section 3.3).

  A pose stays unless one of a higher score that stays is more similar to it than the threshold.
  One that is not finite is similar to none, and left for the metric to refuse.

  Args:
    points: `[m, K, 2]`.
    scores: `[m]`; of equal ones the first goes first.
    areas: `[m]` square pixels.
    sigmas: `[K]`.
    threshold: greatest similarity of two poses that stay.

  Returns:
    Indices of those that stay, by falling score.
  """
  alike = similarity(points, areas, sigmas) > threshold
  kept: list[int] = []
  for i in np.argsort(-np.asarray(scores), kind="stable"):
    if not alike[i, kept].any():
      kept.append(i)
  return np.array(kept, np.int64)


def _mean(squares: np.ndarray, areas: np.ndarray, sigmas: Sequence[float],
          counted: np.ndarray) -> np.ndarray:
  """Mean over the points that count of `squares` `[..., K]`; the spacing is pycocotools'."""
  variances = (np.asarray(sigmas, np.float64) * 2)**2
  exponents = squares / variances / (areas + np.spacing(1))[..., None] / 2
  return np.sum(np.exp(-exponents) * counted, axis=-1) / np.sum(counted, axis=-1)
