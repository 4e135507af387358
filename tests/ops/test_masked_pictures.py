"""Pictures and masks stay on top of each other, whatever is done to both."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jft_reps.errors import ConfigError
from jft_reps.ops.masked_pictures import VOID, TrainingPicture, WholePicture
from tests.data import picture_files as files

HEIGHT, WIDTH = 40, 56


def _pair(seed=0):
  """A picture that shows its mask: PNG, red is the class times 20; and the mask."""
  rng = np.random.default_rng(seed)
  coarse = rng.integers(0, 5, (5, 7)).astype(np.uint8)
  mask = coarse.repeat(8, 0).repeat(8, 1)
  image = np.stack([mask * 20, np.full_like(mask, 7), mask * 0], -1)
  return image, mask


def _encoded(image, mask):
  return tf.constant([files.png(*image.shape[:2], 8, 2, files.rows(image)), files.grey_png(mask)])


def _decode(path, image, mask, draw):
  found = tf.function(path.decode)(_encoded(image, mask), tf.constant(draw, tf.float32))
  return {k: v.numpy() for k, v in found.items()}


def test_pictures_and_masks_are_resized_with_pixel_centres_at_a_half():
  image, mask = _pair()
  found = _decode(TrainingPicture(5, resize=514), image, mask, [0.3] * 4)
  places = [np.floor((np.arange(514) + 0.5) * n / 514).astype(int) for n in mask.shape]
  np.testing.assert_array_equal(found["mask"], mask[np.ix_(*places)])
  expected = np.asarray(Image.fromarray(image).resize((514, 514), Image.BILINEAR)).astype(int)
  assert np.abs(found["image"].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("draw", [
    (0.2, 0.1, 0.0, 0.99), (0.9, 0.7, 0.5, 0.0), (0.5, 0.4, 0.99, 0.5)])
def test_scaled_mirrored_and_cropped_the_picture_still_shows_its_mask(draw):
  image, mask = _pair(1)
  path = TrainingPicture(5, resize=None, scale=(0.5, 2.0), mirror=True, crop=48)
  found = _decode(path, image, mask, draw)
  assert found["image"].shape == (48, 48, 3) and found["mask"].shape == (48, 48)
  beyond = found["mask"] == VOID
  assert (found["image"][beyond] == 128).all()
  factor = 0.5 + 1.5 * draw[0]
  size = [max(1, round(np.float32(n) * np.float32(factor))) for n in mask.shape]
  turn = slice(None, None, -1 if draw[1] < 0.5 else 1)
  places = [np.floor((np.arange(m) + 0.5) * n / m).astype(int) for m, n in zip(size, mask.shape)]
  expected = np.full([max(48, m) for m in size], VOID)
  expected[:size[0], :size[1]] = mask[:, turn][np.ix_(*places)]
  top, left = (int(d * (n - 48 + 1)) for d, n in zip(draw[2:], expected.shape))
  np.testing.assert_array_equal(found["mask"], expected[top:top + 48, left:left + 48])
  bigger = Image.fromarray(image[:, turn]).resize(size[::-1], Image.BILINEAR)
  if factor >= 1:  # Pillow smooths what it makes smaller
    pixels = np.full([*expected.shape, 3], 128)
    pixels[:size[0], :size[1]] = np.asarray(bigger)
    window = pixels[top:top + 48, left:left + 48]
    assert np.abs(found["image"].astype(int) - window).max() <= 1


def test_a_window_beyond_the_picture_is_grey_and_void():
  image, mask = _pair()
  path = TrainingPicture(5, resize=None, crop=64)
  found = _decode(path, image, mask, [0, 0, 0.9, 0.9])
  np.testing.assert_array_equal(found["mask"][:HEIGHT, :WIDTH], mask)
  np.testing.assert_array_equal(found["image"][:HEIGHT, :WIDTH], image)
  assert (found["mask"][HEIGHT:] == VOID).all() and (found["mask"][:, WIDTH:] == VOID).all()
  assert (found["image"][HEIGHT:] == 128).all()


@pytest.mark.parametrize("mirror", [False, True])
def test_half_of_the_pictures_are_mirrored_and_none_without_the_option(mirror):
  path = TrainingPicture(5, resize=None, mirror=mirror, crop=HEIGHT)
  draws = path.draw(tf.random.stateless_uniform([400, 2], [1, 2], maxval=2**40, dtype=tf.int64))
  assert draws.shape == (400, 4) and 0 <= draws.numpy().min() and draws.numpy().max() < 1
  assert abs(draws.numpy().mean() - 0.5) < 0.03
  image, mask = _pair(2)
  left = _decode(path, image[:, :HEIGHT], mask[:, :HEIGHT], [0, 0.1, 0, 0])["mask"]
  expected = mask[:, :HEIGHT]
  np.testing.assert_array_equal(left, expected[:, ::-1] if mirror else expected)


def test_windows_reach_every_place_of_a_picture():
  image = np.zeros((20, 30, 3), np.uint8)
  mask = (np.arange(20)[:, None] + np.arange(30)).astype(np.uint8)
  path = TrainingPicture(60, resize=None, crop=12)
  firsts = {int(_decode(path, image, mask, [0, 0, y, x])["mask"][0, 0])
            for y, x in ((0, 0), (0.999, 0.999), (0, 0.999), (0.999, 0))}
  assert firsts == {0, 8 + 18, 18, 8}


def test_evaluation_takes_both_as_they_are():
  image, mask = _pair(3)
  mask[3:9] = VOID
  found = _decode(WholePicture(5), image, mask, [])
  np.testing.assert_array_equal(found["image"], image)
  np.testing.assert_array_equal(found["mask"], mask)
  encoded = tf.stack([_encoded(image, mask)[0], tf.constant("")])
  assert (WholePicture(5).decode(encoded, tf.zeros([0]))["mask"].numpy() == VOID).all()


@pytest.mark.parametrize("mask", [
    files.grey_png(np.full((HEIGHT, WIDTH), 5)), files.grey_png(np.full((HEIGHT, WIDTH), 254)),
    files.grey_png(np.zeros((WIDTH, HEIGHT))), files.grey_png(np.zeros((HEIGHT, WIDTH)))[:60],
    b"no picture", files.encoded(0, HEIGHT, WIDTH), files.encoded(0, HEIGHT, WIDTH, "RGB", "PNG"),
    files.encoded(0, HEIGHT, WIDTH, "P", "PNG")],
    ids=["class 5 of 5", "class 254", "turned", "cut", "text", "jpeg", "colours", "palette"])
def test_masks_that_do_not_fit_are_refused(mask):
  encoded = tf.constant([files.encoded(0, HEIGHT, WIDTH), mask])
  with pytest.raises(tf.errors.InvalidArgumentError):
    tf.function(WholePicture(5).decode)(encoded, tf.zeros([0]))


@pytest.mark.parametrize("options", [
    {"resize": None}, {"scale": (0.5, 2.0)}, {"scale": (0.0, 1.0)}, {"scale": (2.0, 1.0)},
    {"crop": 4}])
def test_options_that_give_pictures_of_several_sizes_are_refused(options):
  with pytest.raises(ConfigError, match="segmentation-pictures"):
    TrainingPicture(5, **options)
