"""Crops against a loop over their pixels, points against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.ops import person_crops

_MIRRORED = [0, 2, 1]


def numpy_crop(image, region, height, width):
  """Bilinear samples of a picture on a plane of grey 128, one pixel at a time."""
  rows, columns, _ = image.shape

  def pixel(i, j):
    inside = 0 <= i < rows and 0 <= j < columns
    return image[i, j].astype(np.float64) if inside else np.full(3, 128.0)

  out = np.zeros((height, width, 3))
  ymin, xmin, ymax, xmax = map(float, region)
  for r in range(height):
    for c in range(width):
      y = ymin + (r + 0.5) * (ymax - ymin) / height - 0.5
      x = xmin + (c + 0.5) * (xmax - xmin) / width - 0.5
      i, j = int(np.floor(y)), int(np.floor(x))
      for di, wy in ((0, 1 - (y - i)), (1, y - i)):
        for dj, wx in ((0, 1 - (x - j)), (1, x - j)):
          out[r, c] += wy * wx * pixel(i + di, j + dj)
  return out


def _image(height, width, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(23, 31), (8, 40)])
def test_crops_are_bilinear_samples_on_grey(size):
  image = _image(*size)
  regions = np.float32([
      [2.3, 4.1, 16.9, 14.6],  # inside, enlarging
      [-9.7, -3.2, 40.1, 29.9],  # over three borders, shrinking
      [0.0, 0.0, *size], [size[0] - 0.4, 3.0, size[0] + 5, 9.0], [100, 100, 120, 130]])
  found = person_crops.crop(tf.constant(image), tf.constant(regions), 27, 19).numpy()
  wanted = np.stack([numpy_crop(image, region, 27, 19) for region in regions])
  assert found.dtype == np.uint8 and np.abs(found - wanted).max() <= 0.51
  assert (found[-1] == 128).all()


def test_the_whole_picture_at_its_own_size_is_itself():
  image = _image(21, 17)
  found = person_crops.crop(tf.constant(image), tf.constant([[0.0, 0.0, 21.0, 17.0]]), 21, 17)
  np.testing.assert_array_equal(found[0], image)


def test_a_marked_pixel_is_where_its_point_is():
  """The centre of a bright spot goes where `to_crop` sends it, in a real crop's size."""
  image = np.zeros((140, 160, 3), np.uint8)
  image[70:73, 40:43] = 255
  region = person_crops.region(tf.constant([[30.0, 20.0, 110.0, 70.0]]), 1.25)
  crop = person_crops.crop(tf.constant(image), region).numpy()[0, ..., 0].astype(np.float64)
  rows, columns = np.mgrid[:353, :257] + 0.5
  centre = [(crop * rows).sum() / crop.sum(), (crop * columns).sum() / crop.sum()]
  point = person_crops.to_crop(tf.constant([[[71.5, 41.5]]]), region).numpy()[0, 0]
  np.testing.assert_allclose(centre, point, atol=0.02)


def test_no_crop_of_no_region():
  assert person_crops.crop(_image(9, 9), tf.zeros([0, 4])).shape == (0, 353, 257, 3)


_SIDE = st.floats(0, 2000, width=32)


@given(st.tuples(_SIDE, _SIDE, _SIDE, _SIDE), st.floats(1, 1.5))
def test_a_region_holds_its_box_at_the_crops_aspect(sides, factor):
  (y, x), (h, w) = sides[:2], np.maximum(sides[2:], 1.0)
  box = np.float32([y, x, y + sides[2], x + sides[3]])
  top, left, bottom, right = person_crops.region(tf.constant(box), factor).numpy()
  high = max(h, w * 353 / 257) * factor
  np.testing.assert_allclose([bottom - top, right - left], [high, high * 257 / 353], rtol=1e-3)
  np.testing.assert_allclose([top + bottom, left + right], box[:2] + box[2:], atol=1e-2, rtol=1e-5)
  assert max(top - box[0], left - box[1], box[2] - bottom, box[3] - right) < 1e-2


def test_factors_may_differ_between_boxes():
  boxes = tf.constant([[[10.0, 10.0, 50.0, 30.0]], [[0.0, 0.0, 8.0, 90.0]]])
  found = person_crops.region(boxes, tf.constant([[1.0], [1.25]]), 40, 20)
  np.testing.assert_allclose(found[0, 0], [10, 10, 50, 30])
  np.testing.assert_allclose(found[1, 0], [4 - 112.5, 45 - 56.25, 4 + 112.5, 45 + 56.25])


def test_points_there_and_back():
  rng = np.random.default_rng(2)
  boxes = np.sort(rng.uniform(0, 2000, (50, 2, 2)), 1).reshape(50, 4).astype(np.float32)
  regions = person_crops.region(tf.constant(boxes), 1.3).numpy()
  points = np.concatenate([rng.uniform(-100, 2100, (50, 17, 2)), rng.integers(0, 3, (50, 17, 1))],
                          -1).astype(np.float32)
  inside = person_crops.to_crop(points, regions).numpy()
  corner, size = regions[:, None, :2], regions[:, None, 2:] - regions[:, None, :2]
  np.testing.assert_allclose(
      inside[..., :2], (points[..., :2] - corner) * [353, 257] / size, rtol=1e-4, atol=1e-2)
  back = person_crops.from_crop(inside, regions).numpy()
  np.testing.assert_allclose(back, points, atol=1e-3)
  np.testing.assert_array_equal(inside[..., 2], points[..., 2])


def test_mirroring_moves_points_with_their_pixels():
  image = _image(20, 30)
  points = np.float32([[[4.5, 7.5, 2], [11.5, 2.5, 1], [3.5, 28.5, 2]]])
  found = person_crops.mirrored_points(points, _MIRRORED, 30).numpy()
  assert found.tolist() == [[[4.5, 22.5, 2], [3.5, 1.5, 2], [11.5, 27.5, 1]]]
  for (y, x, _), k in zip(found[0], _MIRRORED):
    before = points[0, k]
    np.testing.assert_array_equal(
        image[:, ::-1][int(y), int(x)], image[int(before[0]), int(before[1])])
  again = person_crops.mirrored_points(found, _MIRRORED, 30)
  np.testing.assert_allclose(again, points)


def test_what_lies_outside_is_not_there():
  points = np.float32([[0, 0, 1], [353, 257, 2], [-0.1, 5, 2], [5, 257.1, 2], [9, 9, 0]])
  found = person_crops.only_near(points).numpy()
  np.testing.assert_array_equal(found, points * [[1], [1], [0], [0], [0]])
  found = person_crops.only_near(points, margin=0.2).numpy()
  np.testing.assert_array_equal(found, points * [[1], [1], [1], [1], [0]])
