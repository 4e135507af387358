"""What is read off the bytes of JPEG files, against TensorFlow's and Pillow's readers."""

from __future__ import annotations

import io

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jft_reps.data.building import encoding, jpeg_bytes
from jft_reps.data.records import reasons
from jft_reps.ops import picture_headers
from tests.data import picture_files as files

FORMS = [{}, {"progressive": True}, {"restart_marker_blocks": 1}]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sides", [(40, 50), (8, 1000), (257, 255)])
def test_size_is_that_of_tensorflow(form, sides):
  data = files.encoded(3, *sides, **form)
  assert jpeg_bytes.size(data) == sides
  assert picture_headers.jpeg_size(tf.constant(data)).numpy().tolist() == list(sides)


def test_a_claimed_size_is_read_before_a_preview_or_the_pixels():
  assert jpeg_bytes.size(files.jpeg_of_claimed_size(65500, 65500)) == (65500, 65500)
  preview, plain = files.encoded(2, 16, 16), files.encoded(1, 40, 50)
  segment = b"\xff\xe2" + (len(preview) + 2).to_bytes(2, "big") + preview
  assert jpeg_bytes.size(plain[:2] + segment + plain[2:]) == (40, 50)
  assert jpeg_bytes.size(plain[:4]) is None


@given(st.data())
def test_damaged_files_are_refused_where_tensorflow_cannot_decode_them_whole(data):
  form = data.draw(st.sampled_from(FORMS))
  whole = bytearray(files.encoded(1, 40, 50, **form))
  for _ in range(data.draw(st.integers(0, 3))):
    whole[data.draw(st.integers(3, len(whole) - 1))] = data.draw(st.integers(0, 255))
  damaged = bytes(whole[: data.draw(st.integers(4, len(whole)))])
  stored = encoding.encode(damaged)
  try:
    pixels = tf.io.decode_jpeg(damaged[: len(stored.data) or None], channels=3)
  except tf.errors.OpError:
    pixels = None
  if stored.reason < 0:
    assert pixels is not None and (stored.height, stored.width) == tuple(pixels.shape[:2])
  elif stored.reason == reasons.DECODE_ERROR:
    assert pixels is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_pillow(orientation):
  exif = Image.Exif()
  exif[0x0112] = orientation
  data = files.encoded(1, 40, 50, exif=exif)
  assert jpeg_bytes.orientation(data) == orientation
  assert Image.open(io.BytesIO(data)).getexif()[0x0112] == orientation
