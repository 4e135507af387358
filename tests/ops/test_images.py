import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jft_reps.ops import images, picture_headers
from tests.data import picture_files as files

_SCALAR = tf.TensorSpec([], tf.string)


@tf.function(input_signature=[_SCALAR, tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.bool)])
def fast(encoded, offset, mirror):
  return images.resize_crop_mirror(encoded, offset, mirror)


@tf.function(input_signature=[_SCALAR, tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.bool)])
def plain(encoded, offset, mirror):
  return images.decode_resize_crop_mirror(encoded, offset, mirror)


def _bilinear(pixels, side):
  """NumPy transcription: centres at +0.5, two neighbours, edges repeated."""
  for axis in (0, 1):
    n = pixels.shape[axis]
    at = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, n - 1)
    weight = (at - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
    pixels = pixels.take(low, axis) * (1 - weight) + pixels.take(high, axis) * weight
  return pixels


def _difference(one, two):
  return int(np.abs(np.asarray(one, np.int64) - np.asarray(two, np.int64)).max())


SIZES = [(375, 500), (500, 333), (340, 340), (298, 298), (299, 340), (340, 341), (339, 340),
         (8, 160), (41, 33), (683, 1024), (1, 1)]


def test_plain_way_equals_a_transcription_in_numpy():
  data = files.encoded(0, 111, 97, form="PNG")
  want = np.round(_bilinear(np.asarray(Image.open(io.BytesIO(data)), np.float64), 340))
  want = want[5:304, 41:340][:, ::-1]
  assert _difference(plain(data, [5, 41], True), want) <= 1


@pytest.mark.parametrize("mode, options", [
    ("RGB", {}), ("L", {}), ("CMYK", {}), ("RGB", {"progressive": True}),
    ("RGB", {"subsampling": 0}), ("RGB", {"subsampling": 1})])
def test_fast_way_equals_the_plain_way(mode, options):
  rng = np.random.default_rng(5)
  for seed, (height, width) in enumerate(SIZES[:-1]):
    data = files.encoded(seed, height, width, mode, **options)
    for _ in range(2):
      offset, mirror = rng.integers(0, 42, 2), bool(rng.integers(2))
      assert _difference(fast(data, offset, mirror), plain(data, offset, mirror)) <= 1


def test_stored_size_equals_the_plain_way_at_every_corner_and_many_windows():
  data = files.encoded(9, 340, 340)
  rng = np.random.default_rng(0)
  offsets = [(0, 0), (0, 41), (41, 0), (41, 41), *rng.integers(0, 42, (60, 2))]
  for i, offset in enumerate(offsets):
    assert _difference(fast(data, offset, i % 2 == 0), plain(data, offset, i % 2 == 0)) <= 1


def _png_cases():
  rng = np.random.default_rng(0)
  deep = rng.integers(0, 65536, (20, 30, 3))
  rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
  yield files.png(20, 30, 16, 2, rows), deep >> 8
  table = rng.integers(0, 256, (16, 3)).astype(np.uint8)
  index = rng.integers(0, 16, (20, 30)).astype(np.uint8)
  rows = b"".join(b"\0" + row.tobytes() for row in index)
  yield files.png(20, 30, 8, 3, rows, table.tobytes()), table[index]
  alpha = rng.integers(0, 256, (20, 30, 4)).astype(np.uint8)
  rows = b"".join(b"\0" + row.tobytes() for row in alpha)
  yield files.png(20, 30, 8, 6, rows), alpha[..., :3]
  grey = rng.integers(0, 256, (20, 30)).astype(np.uint8)
  yield (files.png(20, 30, 8, 0, b"".join(b"\0" + r.tobytes() for r in grey)),
         np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize("case", range(4), ids=["16 bit", "palette", "alpha", "grey"])
def test_png_of_every_kind(case):
  data, want = list(_png_cases())[case]
  want = np.round(_bilinear(want.astype(np.float64), 340))[20:319, 20:319]
  assert _difference(images.CenterCrop()(tf.constant(data)), want) <= 1


def test_grey_gives_three_equal_channels():
  pixels = images.CenterCrop()(tf.constant(files.encoded(1, 50, 60, "L"))).numpy()
  assert (pixels == pixels[..., :1]).all()


def test_trailing_bytes_after_the_end_marker_change_nothing():
  for size in ((340, 340), (100, 120)):
    data = files.encoded(4, *size)
    for tail in (b"\0" * 7, b"trailing", data):
      assert _difference(fast(data, [3, 4], False), fast(data + tail, [3, 4], False)) <= 1


@pytest.mark.parametrize("size", [(340, 340), (375, 500)])
@pytest.mark.parametrize("cut", [2, 1, 300, 3000])
def test_a_cut_jpeg_fails_whatever_the_crop(size, cut):
  data = files.encoded(2, *size)[:-cut]
  for offset in ((0, 0), (0, 41), (41, 0), (20, 20)):
    with pytest.raises(tf.errors.InvalidArgumentError):
      fast(data, offset, False)


@pytest.mark.parametrize("data", [
    files.jpeg_of_claimed_size(65500, 65500), files.jpeg_of_claimed_size(6400, 6400),
    files.png(60000, 60000, 8, 2, b""), files.png(12000, 12000, 8, 0, b""),
    files.encoded(0, 7, 7), files.encoded(0, 8, 168)], ids=range(6))
def test_sizes_beyond_the_limits_are_refused_by_the_header(data):
  with pytest.raises(tf.errors.InvalidArgumentError, match="picture size"):
    fast(data, [0, 0], False)


def test_limits_are_inclusive():
  for size, want in (((8000, 5000), (0, 0, 0)), ((8000, 5001), (1, 0, 0)), ((8, 160), (0, 0, 0)),
                     ((7, 140), (0, 1, 0)), ((161, 8), (0, 0, 1)), ((65535, 65535), (1, 0, 0)),
                     ((65535, 3276), (1, 0, 1))):
    assert tuple(int(p) for p in picture_headers.size_problems(tf.constant(size))) == want


def test_random_crop_is_a_function_of_the_seed_and_takes_every_window():
  gradient = np.stack(np.meshgrid(np.arange(12) * 20, np.arange(12) * 20), -1)
  pixels = np.concatenate([gradient, np.zeros((12, 12, 1))], -1).astype(np.uint8)
  out = io.BytesIO()
  Image.fromarray(pixels).save(out, "PNG")
  crop = tf.function(images.RandomCrop(12, 10))
  seen = set()
  for seed in range(200):
    window = crop(out.getvalue(), tf.constant([seed, 1], tf.int64)).numpy()
    again = crop(out.getvalue(), tf.constant([seed, 1], tf.int64)).numpy()
    np.testing.assert_array_equal(window, again)
    left, right = window[0, 0, 0] // 20, window[0, -1, 0] // 20
    seen.add((window[0, 0, 1] // 20, min(left, right), left > right))
  assert seen == {(y, x, m) for y in range(3) for x in range(3) for m in (False, True)}


def test_centre_crop_is_the_centre():
  data = files.encoded(3, 60, 80)
  centre = images.CenterCrop(340, 299)(tf.constant(data))
  assert _difference(centre, plain(data, [20, 20], False)) <= 1
