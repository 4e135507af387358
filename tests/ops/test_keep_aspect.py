"""The picture path of detection has the Object Detection API's sizes and TensorFlow's pixels."""

import io

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jft_reps.ops import keep_aspect
from tests.data import picture_files as files

_PAIR = tf.TensorSpec([2], tf.int32)
_PATH = keep_aspect.KeepAspect()


@tf.function(input_signature=[_PAIR])
def _new_size(size):
  return keep_aspect.new_size(size)


@tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), _PAIR])
def _resized(image, size):
  return keep_aspect.resized(image, size)


@tf.function(input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.bool)])
def _decode(encoded, mirror):
  return _PATH.decode(encoded, mirror)


def _api_size(height, width, least=600, most=1024):
  """`_compute_new_dynamic_size` of the Object Detection API, in NumPy's float32."""
  sides = np.array([height, width], np.float32)
  large = np.round(sides * (np.float32(least) / sides.min())).astype(np.int32)
  small = np.round(sides * (np.float32(most) / sides.max())).astype(np.int32)
  return (small if large.max() > most else large).tolist()


def _bilinear(pixels, size):
  """Two neighbours, centres at +0.5, edges repeated."""
  for axis in (0, 1):
    n, m = pixels.shape[axis], size[axis]
    at = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
    low = np.floor(at).astype(int)
    weight = (at - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
    high = pixels.take(np.minimum(low + 1, n - 1), axis)
    pixels = pixels.take(low, axis) * (1 - weight) + high * weight
  return np.round(pixels)


@hypothesis.given(st.integers(8, 5000), st.integers(8, 5000))
@hypothesis.settings(max_examples=300)
def test_sizes_are_those_of_the_object_detection_api(height, width):
  got = _new_size([height, width]).numpy().tolist()
  assert got == _api_size(height, width)
  assert max(got) <= 1024 and (min(got) == 600 or max(got) == 1024)


@pytest.mark.parametrize("size, want", [
    ((480, 640), [600, 800]), ((640, 480), [800, 600]), ((375, 500), [600, 800]),
    ((427, 640), [600, 899]), ((300, 640), [480, 1024]), ((600, 1024), [600, 1024]),
    ((2000, 3000), [600, 900]), ((100, 100), [600, 600])])
def test_sizes_by_hand(size, want):
  assert _new_size(size).numpy().tolist() == want


@pytest.mark.parametrize("size, new", [
    ((24, 32), (60, 80)), ((61, 40), (83, 54)), ((90, 120), (33, 44)), ((50, 50), (50, 50))])
def test_resizing_is_tensorflows_and_the_transcription(size, new):
  pixels = files.pixels(3, *size)
  got = _resized(pixels, new).numpy().astype(int)
  plain = tf.round(tf.image.resize(pixels, new, "bilinear", antialias=False)).numpy().astype(int)
  assert np.abs(got - plain).max() <= 1
  assert np.abs(got - _bilinear(pixels.astype(np.float64), new)).max() <= 1


@pytest.mark.parametrize("form, mode", [("PNG", "RGB"), ("JPEG", "RGB"), ("JPEG", "L"),
                                        ("PNG", "RGBA")])
def test_pictures_are_decoded_mirrored_and_never_cut(form, mode):
  data = files.encoded(5, 45, 60, mode, form)
  plain, mirrored = _decode(data, False), _decode(data, True)
  assert plain["image"].shape == (600, 800, 3)
  assert plain["size"].numpy().tolist() == [45, 60]
  assert plain["new_size"].numpy().tolist() == [600, 800]
  stored = tf.io.decode_image(data, channels=3).numpy()
  want = tf.round(tf.image.resize(stored, [600, 800], antialias=False)).numpy()
  assert np.abs(plain["image"].numpy() - want).max() <= 1
  flipped = tf.image.flip_left_right(mirrored["image"]).numpy().astype(int)
  assert np.abs(flipped - plain["image"].numpy().astype(int)).max() <= 1


def test_exif_orientation_is_ignored():
  exif = Image.Exif()
  exif[0x0112] = 6
  out = io.BytesIO()
  Image.fromarray(files.pixels(1, 30, 60)).save(out, "JPEG", exif=exif)
  assert _decode(out.getvalue(), False)["size"].numpy().tolist() == [30, 60]


def test_without_resizing_pixels_stay_and_the_size_is_named():
  path = keep_aspect.KeepAspect(resize=False)
  picture = path.decode(files.encoded(1, 48, 64), tf.constant(False))
  assert picture["image"].shape == (48, 64, 3)
  assert picture["new_size"].numpy().tolist() == [600, 800]


def test_half_of_the_pictures_are_mirrored_as_their_seeds_say():
  seeds = tf.stack([tf.zeros([4000], tf.int64), tf.range(4000, dtype=tf.int64)], 1)
  drawn = _PATH.draw(seeds).numpy()
  assert abs(drawn.mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)
  np.testing.assert_array_equal(drawn[17:20], _PATH.draw(seeds[17:20]))
  assert not keep_aspect.KeepAspect(mirror=False).draw(seeds).numpy().any()


@pytest.mark.parametrize("data", [
    files.encoded(1, 1, 1), files.encoded(1, 10, 400), files.jpeg_of_claimed_size(65500, 65500),
    files.encoded(2)[:-200]])
def test_what_passes_the_limits_or_is_cut_fails(data):
  with pytest.raises(tf.errors.InvalidArgumentError):
    _decode(data, False)
