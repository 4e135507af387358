"""A panel shows the picture, its classes in VOC's colours and what is void."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from jft_reps.metrics.mask_files import palette
from jft_reps.tasks.panels import boxes, masks


def halves(left, right, shape=(240, 480)):
  """A mask of two classes."""
  mask = np.full(shape, left, np.uint8)
  mask[:, shape[1] // 2:] = right
  return mask


@pytest.fixture
def image():
  return np.random.default_rng(0).integers(0, 256, (240, 480, 3)).astype(np.uint8)


def test_it_is_laid_out_like_a_panel_of_boxes(image):
  shown = masks.panel(image, halves(0, 0), halves(0, 0))
  np.testing.assert_array_equal(shown, boxes.panel(image, [], []))


def test_background_is_the_picture_void_its_colour_and_a_class_between(image):
  shown = masks.panel(image, halves(0, 255), halves(15, 0))
  truth, predicted = shown[:240, :480], shown[:240, 486:]
  np.testing.assert_array_equal(truth[:, :240], image[:, :240])
  assert (truth[:, 240:] == palette()[255]).all()
  np.testing.assert_array_equal(predicted[:, 240:], image[:, 240:])
  blend = image[:, :240] + (palette()[15].astype(float) - image[:, :240]) * 160 / 255
  assert np.abs(predicted[:, :240] - blend).max() <= 1


@pytest.mark.parametrize("shape", [(375, 500), (500, 375), (1, 900), (900, 1), (7, 7)])
def test_every_size_has_its_mask_in_place(shape):
  mask = np.full(shape, 255, np.uint8)
  shown = masks.panel(np.zeros((*shape, 3), np.uint8), mask, np.zeros_like(mask))
  assert shown.shape == (480, 966, 3) and shown.dtype == np.uint8
  height, width = (max(1, round(side * 480 / max(shape))) for side in shape)
  assert (shown[:height, :width] == palette()[255]).all()
  assert (shown[height:, :480] == 40).all() and (shown[:, width:480] == 40).all()


def test_classes_that_are_there_are_named_in_their_colours(image):
  labels = ["background", "cat", "dög ☃", *(f"class {i}" for i in range(3, 40))]
  shown = masks.panel(image, halves(1, 255), halves(0, 2), labels)
  plain = masks.panel(image, halves(1, 255), halves(0, 2))
  np.testing.assert_array_equal(shown[:460], plain[:460])
  has = lambda part, i: (part[460:] == palette()[i]).all(axis=2).sum() > 100
  left, right = shown[:, :480], shown[:, 486:]
  assert has(left, 1) and not has(left, 2) and has(right, 2) and not has(right, 1)
  crowded = np.arange(240 * 480).reshape(240, 480) % 40
  assert masks.panel(image, crowded.astype(np.uint8), halves(0, 0), labels).shape == (
      480, 966, 3)


def test_a_real_picture_keeps_its_background(shared_data):
  folder = shared_data / "detection/voc100"
  image, mask = (np.asarray(Image.open(folder / name)) for name in (
      "JPEGImages/2007_000032.jpg", "SegmentationClass/2007_000032.png"))
  shown = masks.panel(image, mask, np.zeros_like(mask))
  truth, predicted = shown[:, :480].astype(int), shown[:, 486:]
  changed = np.zeros((480, 480), bool)
  size = round(480 * mask.shape[0] / 500)
  changed[:size] = np.asarray(Image.fromarray(mask).resize((480, size), Image.NEAREST)) > 0
  np.testing.assert_array_equal((truth != predicted).any(axis=2) | changed, changed)
  assert np.abs(truth - predicted)[changed].mean() > 20
