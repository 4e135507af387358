"""OKS is pycocotools' on real people; suppression does what its definition says."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.cocoeval import COCOeval, Params

from jft_reps.metrics import oks

COCO_SIGMAS = Params("keypoints").kpt_oks_sigmas


def people(annotations):
  """Points, areas and boxes of COCO's annotations as ours."""
  points = np.array([a["keypoints"] for a in annotations], float).reshape(len(annotations), -1, 3)
  x, y, width, height = np.array([a["bbox"] for a in annotations], float).T
  return (points[..., [1, 0, 2]] + [0.5, 0.5, 0], np.array([a["area"] for a in annotations]),
          np.stack([y, x, y + height, x + width], axis=1))


def official(found, annotations, sigmas):
  """pycocotools' own matrix; poses come with falling scores because it sorts by them."""
  evaluation = COCOeval(iouType="keypoints")
  evaluation.params.kpt_oks_sigmas, evaluation.params.maxDets = np.array(sigmas), [len(found)]
  evaluation._gts[1, 1] = annotations
  evaluation._dts[1, 1] = [
      {"score": -i, "keypoints": [v for y, x in pose for v in (x - 0.5, y - 0.5, 1)]}
      for i, pose in enumerate(found.tolist())]
  return evaluation.computeOks(1, 1)


def plain(a, b, area, sigmas):
  """Similarity of two poses, point by point."""
  total = sum(math.exp(-((a[i][0] - b[i][0])**2 + (a[i][1] - b[i][1])**2)
                       / (2 * area * (2 * sigmas[i])**2)) for i in range(len(sigmas)))
  return total / len(sigmas)


def world(seed, m=8, k=5):
  rng = np.random.default_rng(seed)
  centres = rng.uniform(0, 60, (3, 1, 2))[rng.integers(0, 3, m)]
  figure = rng.uniform(0, 50, (k, 2))
  return (centres + figure + rng.normal(0, 3, (m, k, 2)), rng.integers(0, 5, m) / 4,
          rng.uniform(500, 3000, m), rng.uniform(0.03, 0.11, k))


def test_real_people_have_pycocotools_similarities(shared_data):
  """The 14 people of four photos, two without points, against 60 poses near them and far off."""
  path = shared_data / "detection/mmpose_kp/coco/test_coco.json"
  annotations, rng = json.loads(path.read_text())["annotations"], np.random.default_rng(0)
  points, areas, boxes = people(annotations)
  assert sorted(a["num_keypoints"] for a in annotations)[:3] == [0, 0, 12]
  deviations = rng.choice([1, 5, 20, 200], (60, 1, 1))
  inside = boxes[:, None, :2] + rng.uniform(0, 1, (14, 17, 2)) * (boxes[:, 2:] - boxes[:, :2])[
      :, None]
  found = np.concatenate([points[rng.integers(0, 14, 60), :, :2]
                          + rng.normal(0, 1, (60, 17, 2)) * deviations, inside])
  values = oks.oks(found, points, areas, boxes, COCO_SIGMAS)
  np.testing.assert_allclose(values, official(found, annotations, COCO_SIGMAS), rtol=1e-12,
                             atol=1e-300)
  for j in np.flatnonzero((points[..., 2] == 0).all(axis=1)):
    assert values[60 + j, j] == 1 and 0 < np.median(values[:, j]) < 1


@given(seed=st.integers(0, 2**32 - 1))
def test_any_people_have_pycocotools_similarities(seed):
  rng = np.random.default_rng(seed)
  k, n, m = rng.integers(1, 6), rng.integers(1, 5), rng.integers(1, 5)
  sigmas = rng.uniform(0.01, 0.2, k)
  annotations = [{"keypoints": np.concatenate([rng.integers(0, 60, (k, 2)),
                                               rng.integers(0, 3, (k, 1)) * rng.integers(0, 2)],
                                              axis=1).ravel().tolist(),
                  "bbox": rng.uniform(0, 40, 4).tolist(),
                  "area": float(rng.choice([0, 20, 400, 1600]))} for _ in range(n)]
  found = rng.integers(-30, 120, (m, k, 2)) + 0.5
  points, areas, boxes = people(annotations)
  np.testing.assert_allclose(oks.oks(found, points, areas, boxes, sigmas),
                             official(found, annotations, sigmas), rtol=1e-9, atol=1e-300)


def test_off_by_the_own_constant_of_each_point_is_exp_of_minus_a_half():
  points, _, areas, sigmas = world(3, m=1)
  true = np.concatenate([points, np.full((1, 5, 1), 2.0)], axis=2)
  moved = points + np.stack([np.sqrt(areas[0]) * 2 * sigmas, np.zeros(5)], axis=1)
  values = oks.oks(np.concatenate([points, moved]), true, areas, np.zeros((1, 4)), sigmas)
  np.testing.assert_allclose(values[:, 0], [1, math.exp(-0.5)], rtol=1e-12)


def test_points_without_a_label_do_not_count():
  points, _, areas, sigmas = world(4, m=1)
  true = np.concatenate([points, [[[2], [0], [1], [0], [2]]]], axis=2)
  far = points.copy()
  far[0, [1, 3]] = 1e6
  assert oks.oks(far, true, areas, np.zeros((1, 4)), sigmas).tolist() == [[1.0]]
  far[0, 2] = 1e6
  np.testing.assert_allclose(oks.oks(far, true, areas, np.zeros((1, 4)), sigmas), 2 / 3)


@given(seed=st.integers(0, 2**32 - 1))
def test_similarity_of_poses_is_the_formula_with_the_mean_area(seed):
  points, _, areas, sigmas = world(seed)
  values = oks.similarity(points, areas, sigmas)
  np.testing.assert_array_equal(values, values.T)
  np.testing.assert_array_equal(np.diag(values), 1)
  for i in range(8):
    for j in range(8):
      expected = plain(points[i], points[j], (areas[i] + areas[j]) / 2, sigmas)
      assert values[i, j] == pytest.approx(expected, rel=1e-9)
  larger = oks.similarity(points * 3 + 7, areas * 9, sigmas)
  np.testing.assert_allclose(larger, values, rtol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_suppression_is_that_of_plain_loops(seed, threshold):
  points, scores, areas, sigmas = world(seed)
  kept = []
  for i in sorted(range(8), key=lambda i: (-scores[i], i)):
    if all(plain(points[i], points[j], (areas[i] + areas[j]) / 2, sigmas) <= threshold
           for j in kept):
      kept.append(i)
  assert oks.suppress(points, scores, areas, sigmas, threshold).tolist() == kept


@given(seed=st.integers(0, 2**32 - 1))
def test_what_stays_is_unlike_and_what_goes_is_like_a_better_one(seed):
  points, scores, areas, sigmas = world(seed)
  kept, values = oks.suppress(points, scores, areas, sigmas), oks.similarity(points, areas, sigmas)
  assert (np.diff(scores[kept]) <= 0).all()
  assert (values[np.ix_(kept, kept)] - np.eye(len(kept)) <= 0.5).all()
  for i in set(range(8)) - set(kept.tolist()):
    assert any(values[i, j] > 0.5 and scores[j] >= scores[i] for j in kept)
  again = oks.suppress(points[kept], scores[kept], areas[kept], sigmas)
  assert again.tolist() == list(range(len(kept)))


def test_no_poses_one_point_areas_of_nothing_and_nan():
  none = oks.suppress(np.zeros((0, 5, 2)), np.zeros(0), np.zeros(0), np.full(5, 0.1))
  assert none.shape == (0,) and none.dtype == np.int64
  assert oks.oks(np.zeros((0, 5, 2)), np.zeros((3, 5, 3)), np.ones(3), np.zeros((3, 4)),
                 np.full(5, 0.1)).shape == (0, 3)
  twice = np.array([[[1.0, 1]], [[1, 1]], [[2, 1]], [[np.nan, 1]]])
  assert oks.suppress(twice, np.array([0.5, 0.9, 0.1, 0.2]), np.zeros(4), [0.1]).tolist() == [
      1, 3, 2]
