"""People and poses come out checked and in order, or an error says what does not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jft_reps.errors import DataError, NumericError
from jft_reps.metrics.poses import People, Poses, none

BOX = np.array([[0.0, 0, 9, 9]])
POSE = np.zeros((1, 3, 2))
PERSON = np.zeros((1, 3, 3))


def test_poses_are_ordered_by_falling_score_then_by_points():
  points = np.array([[[2, 9]], [[1, 5]], [[1, 3]], [[0, 0]]], np.float32)
  boxes = np.arange(16).reshape(4, 4)
  found = Poses(points, np.array([1, 1, 1, 2], np.float32), boxes).checked("p", 1)
  assert found.points[:, 0].tolist() == [[0, 0], [1, 3], [1, 5], [2, 9]]
  assert found.scores.tolist() == [2, 1, 1, 1] and found.boxes[:, 0].tolist() == [12, 8, 4, 0]
  assert found.points.dtype == found.scores.dtype == found.boxes.dtype == np.float64


def test_people_keep_their_order_and_what_is_left_out_is_filled_in():
  boxes = np.array([[5.0, 5, 7, 9], [0, 0, 3, 4]])
  people = People(np.arange(2)[:, None, None] * np.ones((1, 1, 3)), boxes).checked("p", 1)
  assert people.boxes.tolist() == boxes.tolist() and people.points[:, 0, 0].tolist() == [0, 1]
  assert people.area.tolist() == [8, 12] and people.crowd.tolist() == [False, False]
  own = People(np.zeros((2, 1, 3)), boxes, np.array([0, 1]), np.array([3, math.nan]))
  own = own.checked("p", 1)
  assert own.crowd.tolist() == [False, True]
  np.testing.assert_array_equal(own.area, [3, math.nan])


def test_nobody_may_come_as_any_empty_array():
  for empty in ([], np.zeros((0, 3, 3)), np.zeros((0, 4))):
    assert People(empty, empty).checked("p", 3).points.shape == (0, 3, 3)
    assert Poses(empty, []).checked("p", 3).points.shape == (0, 3, 2)
  assert none(3).checked("p", 3).points.shape == (0, 3, 2)


@pytest.mark.parametrize("found, match", [
    (Poses(np.zeros((2, 17, 2)), np.ones(2)), "17 keypoints; expected 3, one for each.*schema"),
    (Poses(np.zeros((2, 3, 2)), np.ones(3)), r"points of shape \[2, 3, 2\]; expected \[3, 3, 2\]"),
    (Poses(PERSON, np.ones(1)), r"shape \[1, 3, 3\]; expected \[1, 3, 2\]"),
    (Poses(POSE, np.ones(1), np.zeros((1, 2))), "boxes of shape"),
    (Poses(POSE, np.ones((1, 1))), "scores of shape"),
    (Poses(np.array([[["0", "1"]] * 3]), np.ones(1)), "dtype <U1"),
    (Poses(POSE, np.array(["1"])), "scores of dtype"),
])
def test_poses_that_do_not_fit_are_refused(found, match):
  with pytest.raises(DataError, match=f"poses in picture 'p': .*{match}"):
    found.checked("p", 3)


@pytest.mark.parametrize("truth, match", [
    (People(np.zeros((1, 17, 3)), BOX), "17 keypoints; expected 3, one for each.*schema"),
    (People(np.zeros((2, 3, 3)), BOX), r"points of shape \[2, 3, 3\]; expected \[1, 3, 3\]"),
    (People(PERSON + [0, 0, 3], BOX), "visibility 3; expected 0, 1 or 2"),
    (People(PERSON + [0, 0, -1], BOX), "visibility -1"),
    (People(PERSON + [0, 0, 0.5], BOX), "visibility 0.5"),
    (People(PERSON, -BOX), "ymin <= ymax"),
    (People(PERSON, BOX[0]), "expected .boxes, 4"),
    (People(PERSON, BOX, np.zeros(2, bool)), "crowd of shape"),
    (People(PERSON, BOX, None, np.zeros(2)), "area of shape"),
])
def test_people_that_do_not_fit_are_refused(truth, match):
  with pytest.raises(DataError, match=f"truth of picture 'p': .*{match}"):
    truth.checked("p", 3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(value):
  for found in (Poses(POSE + value, np.ones(1)), Poses(POSE, np.array([value])),
                Poses(POSE, np.ones(1), BOX + value)):
    with pytest.raises(NumericError, match="poses in picture 'p'.*NaN or infinite"):
      found.checked("p", 3)
  for truth in (People(PERSON + value, BOX), People(PERSON, BOX + value)):
    with pytest.raises(NumericError, match="truth of picture 'p'.*NaN or infinite"):
      truth.checked("p", 3)
