"""Twelve anchors a cell, every number of them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from jft_reps.ops import anchors
from tests.models import numpy_faster_rcnn as reference

ROOT = np.sqrt(2)


def test_the_twelve_of_a_cell_are_64_to_512_pixels_in_three_aspects():
  found = anchors.AnchorGrid()(1, 1, 16).numpy().astype(np.float64)
  tall = [(s * ROOT, s / ROOT) for s in (64, 128, 256, 512)]  # width over height 1/2
  square = [(s, s) for s in (64, 128, 256, 512)]
  wide = [(s / ROOT, s * ROOT) for s in (64, 128, 256, 512)]
  assert anchors.AnchorGrid().per_cell == 12
  np.testing.assert_allclose(found[:, 2:] - found[:, :2], tall + square + wide, rtol=1e-6)
  np.testing.assert_allclose(found[:, :2] + found[:, 2:], 0, atol=1e-4)
  np.testing.assert_allclose(found[4], [-32, -32, 32, 32])
  np.testing.assert_allclose(found[0], [-45.254834, -22.627417, 45.254834, 22.627417], rtol=1e-6)
  np.testing.assert_allclose(found[11], [-181.019336, -362.038672, 181.019336, 362.038672],
                             rtol=1e-6)


def test_centres_are_index_times_stride_row_by_row():
  for stride in (8, 16):
    found = anchors.AnchorGrid()(3, 5, stride).numpy()
    centres = ((found[:, :2] + found[:, 2:]) / 2).reshape([3, 5, 12, 2])
    for i in range(3):
      for j in range(5):
        np.testing.assert_allclose(centres[i, j], [[i * stride, j * stride]] * 12, atol=1e-4)


def test_a_picture_of_600_by_800_has_the_reference_s_anchors():
  found = anchors.AnchorGrid()(38, 50, 16).numpy()
  expected = reference.grid_anchors(38, 50)
  assert found.dtype == np.float32 and found.shape == (22800, 4)
  np.testing.assert_allclose(found, expected, atol=1e-3)


def test_other_grids():
  grid = anchors.AnchorGrid(base=100.0, scales=(1.0, 3.0), aspects=(4.0,))
  found = grid(1, 2, 10).numpy()
  assert grid.per_cell == 2
  np.testing.assert_allclose(found, [
      [-25, -100, 25, 100], [-75, -300, 75, 300], [-25, -90, 25, 110], [-75, -290, 75, 310]])
  np.testing.assert_allclose(
      found, reference.grid_anchors(1, 2, 10, 100.0, (1.0, 3.0), (4.0,)), rtol=1e-6)


def test_one_graph_serves_pictures_of_any_size():
  grid = anchors.AnchorGrid()
  traced = tf.function(lambda x: grid(tf.shape(x)[0], tf.shape(x)[1], 16),
                       input_signature=[tf.TensorSpec([None, None])])
  for rows, columns in ((1, 1), (4, 7), (0, 3)):
    np.testing.assert_allclose(traced(tf.zeros([rows, columns])),
                               reference.grid_anchors(rows, columns), atol=1e-3)
