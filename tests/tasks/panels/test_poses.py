"""A panel shows limbs in their colours, points as dots, and only what is labelled."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from jft_reps.tasks.panels import boxes, canvas, poses

SKELETON = [(0, 1), (1, 2)]
DOT = poses._DOT


@pytest.fixture
def image():
  return np.random.default_rng(0).integers(0, 200, (240, 480, 3)).astype(np.uint8)


def person(visibility=(2, 2, 2), at=(0, 0)):
  points = np.array([[50.5, 50.5], [150.5, 50.5], [150.5, 250.5]]) + at
  return np.concatenate([points, np.array(visibility, float)[:, None]], axis=1)[None]


def nobody(*shape):
  return np.zeros((0, 3, *shape))


def drawn(image, truth=None, found=None, scores=()):
  truth = nobody(3) if truth is None else truth
  found = nobody(2) if found is None else found
  return poses.panel(image, truth, found, np.array(scores, float), SKELETON)


def test_it_is_laid_out_like_a_panel_of_boxes(image):
  np.testing.assert_array_equal(drawn(image), boxes.panel(image, [], []))


def test_limbs_join_their_points_in_colours_of_their_own(image):
  shown, colours = drawn(image, person()), [canvas.colour(i) for i in (0, 1)]
  assert colours[0] != colours[1]
  for (row, column), colour in (((100, 50), colours[0]), ((150, 150), colours[1])):
    assert (shown[row - 2:row + 3, column - 2:column + 3] == colour).all(axis=2).any()
  np.testing.assert_array_equal(shown[:, 480:], drawn(image)[:, 480:])
  changed = (shown != drawn(image)).any(axis=2)
  rows, columns = np.nonzero(changed)
  assert (rows.min(), rows.max(), columns.min(), columns.max()) == (47, 153, 47, 253)


def test_seen_points_are_dots_hidden_ones_rings_and_unlabelled_ones_nothing(image):
  shown = drawn(image, person((2, 1, 0)))
  assert tuple(shown[50, 50]) == DOT
  assert tuple(shown[150, 50]) != DOT and (shown[146:155, 46:55] == DOT).all(axis=2).sum() > 8
  np.testing.assert_array_equal(shown[:, 100:480], drawn(image)[:, 100:480])


def test_what_is_found_is_on_the_right_with_its_score_and_the_best_on_top(image):
  two = np.concatenate([person(), person(at=(0, 3))])[..., :2]
  shown, alone = drawn(image, found=two, scores=[0.9, 0.1]), drawn(image, found=two[:1],
                                                                   scores=[0.9])
  np.testing.assert_array_equal(shown[:, :486], drawn(image)[:, :486])
  np.testing.assert_array_equal(shown[148:153, 534:539], alone[148:153, 534:539])
  assert (alone[32:50, 486 + 55:486 + 90] == 255).all(axis=2).sum() > 100


@pytest.mark.parametrize("shape", [(375, 500), (500, 375), (1, 900), (900, 1), (7, 7)])
def test_every_size_has_its_points_in_place(shape):
  middle = np.array([[shape[0] / 2, shape[1] / 2]])
  found = np.broadcast_to(middle, (1, 3, 2))
  shown = drawn(np.zeros((*shape, 3), np.uint8), None, found, [0.5])
  assert shown.shape == (480, 966, 3) and shown.dtype == np.uint8
  row, column = (int(v * 480 / max(shape)) for v in middle[0])
  assert tuple(shown[row, 486 + column]) == DOT


def test_points_of_nan_or_far_away_are_no_trouble(image):
  found = person()[..., :2].copy()
  found[0, 0], found[0, 2] = np.nan, 1e30
  shown = drawn(image, person(), found, [np.nan])
  assert tuple(shown[150, 486 + 50]) == DOT and tuple(shown[50, 486 + 50]) != DOT


def test_a_real_picture_has_its_people_where_they_are(shared_data):
  """Every labelled point of COCO is a dot or ring; what is far from all people stays."""
  folder = shared_data / "detection/mmpose_kp/coco"
  dataset = json.loads((folder / "test_coco.json").read_text())
  image = np.asarray(Image.open(folder / "000000000785.jpg").convert("RGB"))
  xyv = np.array([a["keypoints"] for a in dataset["annotations"] if a["image_id"] == 785], float)
  truth = xyv.reshape(-1, 17, 3)[..., [1, 0, 2]] + [0.5, 0.5, 0]
  skeleton = [(a - 1, b - 1) for a, b in dataset["categories"][0]["skeleton"]]
  shown = poses.panel(image, truth, np.zeros((0, 17, 2)), np.zeros(0), skeleton)
  empty = boxes.panel(image, [], [])
  for y, x, _ in truth[0] * 480 / 640:
    around = shown[int(y) - 4:int(y) + 5, int(x) - 4:int(x) + 5]
    assert (around == DOT).all(axis=2).sum() >= 8
  changed = (shown != empty).any(axis=2)
  x, y, width, height = np.array(dataset["annotations"][0]["bbox"]) * 480 / 640
  outside = np.ones_like(changed)
  outside[int(y) - 5:int(y + height) + 6, int(x) - 5:int(x + width) + 6] = False
  assert changed.sum() > 1000 and not (changed & outside).any()
