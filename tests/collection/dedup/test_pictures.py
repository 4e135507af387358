"""Pictures of every kind become the same greys; folders are read in order and not left."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from jft_reps import errors
from jft_reps.collection.dedup import pictures as dp
from tests.collection.dedup.duplicate_cases import data, scene


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV",
                                  "I", "F", "I;16"])
def test_every_mode_gives_the_same_greys(mode):
  image = scene(5)
  wanted = dp.grey(image)
  deep = {"I": lambda m: Image.fromarray(np.asarray(m.convert("L")).astype(np.int32) * 257),
          "F": lambda m: Image.fromarray(np.asarray(m.convert("L")).astype(np.float32)),
          "I;16": lambda m: Image.fromarray(np.asarray(m.convert("L")).astype(np.uint16) * 257)}
  if mode == "LAB":
    from PIL import ImageCms

    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    made = ImageCms.applyTransform(image, to_lab)
  else:
    made = deep[mode](image) if mode in deep else image.convert(mode)
  assert made.mode == mode
  assert np.corrcoef(dp.grey(made).ravel(), wanted.ravel())[0, 1] > (0.6 if mode == "1" else 0.98)
  assert dp.rgb(made, 32).shape == (32, 32, 3)


def test_a_folder_is_walked_in_order_and_not_left(tmp_path):
  (tmp_path / "in" / "deep" / "er").mkdir(parents=True)
  (tmp_path / "out.jpg").write_bytes(data(scene(1)))
  for name in ("b.jpg", "a.PNG", "deep/er/c.webp", ".hidden.jpg", "note.txt"):
    (tmp_path / "in" / name).write_bytes(data(scene(1)))
  (tmp_path / "in" / "z.jpg").symlink_to(tmp_path / "out.jpg")
  read = list(dp.folder(tmp_path / "in"))
  assert [p.picture_id for p in read] == ["a.PNG", "b.jpg", "z.jpg", "deep/er/c.webp"]
  assert [p.reason for p in read] == ["", "", "path_outside", ""]
  with pytest.raises(errors.DataError, match="missing-folder"):
    next(dp.folder(tmp_path / "nothing"))


def test_a_damaged_exif_block_says_nothing():
  exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHI", 8, 60000, 0x0112, 3, 1 << 31)
  assert dp.decode(data(scene(2), exif=exif)).size == (160, 120)


def test_pixels_are_counted_before_they_are_decoded():
  large = data(Image.new("RGB", (6400, 6400)), "PNG")
  with pytest.raises(dp.Unreadable, match="too_many_pixels"):
    dp.decode(large)
  assert dp.fingerprint(dp.Picture("a", data(Image.new("RGB", (4100, 4100)), "WEBP"))) == (
      "too_many_pixels")
  sampled = scene(6).resize((3000, 2500)).convert("RGBA")
  assert np.corrcoef(dp.grey(sampled).ravel(), dp.grey(scene(6)).ravel())[0, 1] > 0.99
