"""Placeholders are known by their bytes, ours and those a user names."""

from __future__ import annotations

import hashlib

import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.sources import placeholders
from tests.data import picture_files as files


def test_three_of_the_four_example_pictures_of_ml_images_are_flickrs(shared_data):
  names = []
  for path in sorted((shared_data / "multilabel/tencent/tfrecords").iterdir()):
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
      data = tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0]
      names.append(placeholders.KNOWN.get(placeholders.digest(data)))
  assert sorted(names, key=str) == [None, "flickr_jpeg", "flickr_jpeg", "flickr_jpeg"]


def test_the_digest_is_sha256_and_photographs_are_none(tmp_path):
  picture = files.encoded(3)
  assert placeholders.digest(picture) == hashlib.sha256(picture).hexdigest()
  assert placeholders.digest(bytes(2051)) == hashlib.sha256(bytes(2051)).hexdigest()
  assert placeholders.KNOWN.get(placeholders.digest(picture)) is None
  assert placeholders.KNOWN.get(placeholders.digest(b"")) is None


def test_users_name_more_by_a_picture_or_a_list(tmp_path):
  one, two = files.encoded(1), files.encoded(2, form="PNG")
  (tmp_path / "gone.jpg").write_bytes(one)
  known = placeholders.read(tmp_path / "gone.jpg")
  assert known.get(placeholders.digest(one)) == "gone.jpg"
  assert known.get(placeholders.digest(two)) is None
  assert known.items() > dict(placeholders.KNOWN).items()
  (tmp_path / "list.txt").write_text(
      f"# ours\n\n{hashlib.sha256(one).hexdigest().upper()} *a site.jpg\n"
      f"{hashlib.sha256(two).hexdigest()}\n")
  known = placeholders.read(tmp_path / "list.txt")
  assert known.get(placeholders.digest(one)) == "a site.jpg"
  assert known.get(placeholders.digest(two)) == "list.txt:4"


@pytest.mark.parametrize("data, message", [
    (b"abc gone\n", "list:1: 'abc'; expected the 64 hexadecimal digits"),
    (b"\n\x00\x1b[2J\n", r"list:2: '\\+x00\\+x1b\[2J'"), (b"x" * (17 << 20), "17825792 bytes")])
def test_what_is_no_list_is_refused(tmp_path, data, message):
  (tmp_path / "list").write_bytes(data)
  with pytest.raises(errors.DataError, match=message):
    placeholders.read(tmp_path / "list")
  with pytest.raises(errors.DataError, match="No such file"):
    placeholders.read(tmp_path / "none")
