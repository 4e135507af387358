"""Masks for VOC's server have its colours and layout, come back as they were, and stay inside."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jft_reps.errors import ConfigError, DataError, StorageError
from jft_reps.metrics import mask_files


def read(data):
  """Indices and palette of a PNG."""
  image = Image.open(io.BytesIO(data))
  assert (image.format, image.mode) == ("PNG", "P")
  return np.asarray(image), np.array(image.getpalette()).reshape(-1, 3)


def test_the_colours_of_voc_are_those_it_shows():
  colours = mask_files.palette()
  assert colours.shape == (256, 3) and len(set(map(tuple, colours.tolist()))) == 256
  for index, colour in ((0, [0, 0, 0]), (1, [128, 0, 0]), (2, [0, 128, 0]), (7, [128, 128, 128]),
                        (8, [64, 0, 0]), (15, [192, 128, 128]), (20, [0, 64, 128]),
                        (255, [224, 224, 192])):
    assert colours[index].tolist() == colour
  with pytest.raises(ValueError, match="read-only"):
    colours[0] = 1


def test_the_colours_are_the_palettes_of_real_masks(shared_data):
  folder = shared_data / "detection"
  paths = [*folder.glob("voc100/SegmentationClass/*.png"),
           *folder.glob("labelme_voc3/*/data_dataset_voc/Segmentation*/*.png")]
  assert len(paths) > 40
  for path in paths:
    _, colours = read(path.read_bytes())
    np.testing.assert_array_equal(colours, mask_files.palette(), err_msg=path.name)


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 40), width=st.integers(1, 40))
def test_a_mask_comes_back_with_every_index(seed, height, width):
  mask = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
  for form in (mask, np.asfortranarray(mask), mask[::-1, ::-1]):
    indices, colours = read(mask_files.encode(form))
    np.testing.assert_array_equal(indices, form)
    np.testing.assert_array_equal(colours, mask_files.palette())


def test_real_masks_come_back_and_are_as_small_as_they_were(shared_data):
  before = after = 0
  for path in sorted((shared_data / "detection/voc100/SegmentationClass").glob("*.png"))[:10]:
    mask, _ = read(path.read_bytes())
    data = mask_files.encode(mask)
    np.testing.assert_array_equal(read(data)[0], mask)
    before, after = before + path.stat().st_size, after + len(data)
  assert after < 1.5 * before


@pytest.mark.parametrize("mask", [np.zeros((2, 2), np.int64), np.zeros((2, 2, 3), np.uint8),
                                  np.zeros((0, 2), np.uint8)])
def test_what_is_no_mask_is_refused(mask):
  with pytest.raises(DataError, match="mask-type"):
    mask_files.encode(mask)


def files(folder):
  return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_files_lie_where_the_server_looks_for_them(tmp_path):
  masks = {name: np.full((2, 3), i, np.uint8)
           for i, name in enumerate(["2008_000001", "2008_000004"])}
  found = [(name, mask_files.encode(mask)) for name, mask in masks.items()]
  folder = mask_files.write_voc_masks(tmp_path, iter(found))
  inside = "results/VOC2012/Segmentation/comp6_test_cls"
  assert folder == str(tmp_path / inside)
  assert files(tmp_path) == [f"{inside}/2008_000001.png", f"{inside}/2008_000004.png"]
  for name, mask in masks.items():
    np.testing.assert_array_equal(read((tmp_path / inside / f"{name}.png").read_bytes())[0], mask)
  mask_files.write_voc_masks(tmp_path / "a" / "b", [(b"1", b"x")], "comp5_test_cls")
  assert files(tmp_path / "a") == ["b/results/VOC2012/Segmentation/comp5_test_cls/1.png"]


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
  folder = mask_files.write_voc_masks(tmp_path, [("a", b"old"), ("b", b"old")])
  def until_it_fails():
    yield "a", b"new"
    yield "b", 7  # no bytes
  with pytest.raises(TypeError):
    mask_files.write_voc_masks(tmp_path, until_it_fails())
  assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == {
      f"{folder[len(str(tmp_path)) + 1:]}/{name}.png": data
      for name, data in (("a", b"new"), ("b", b"old"))}


@pytest.mark.parametrize("name", ["../up", "a/../b", "a//b", "/etc/x", "..", ".", ".hidden", "",
                                  " a", "a\n", "a\0", "a\\b", "c:x", b"\xff"])
def test_no_picture_leads_out_of_the_folder(tmp_path, name):
  with pytest.raises(DataError, match="voc-picture-id"):
    mask_files.write_voc_masks(tmp_path, [(name, b"x")])
  assert files(tmp_path) == []
  if isinstance(name, str):
    with pytest.raises(ConfigError, match="competition"):
      mask_files.write_voc_masks(tmp_path, [], name)


def test_names_with_folders_lie_in_folders(tmp_path):
  mask_files.write_voc_masks(tmp_path, [("in/a", b"x"), ("a", b"y")])
  folder = tmp_path / "results/VOC2012/Segmentation/comp6_test_cls"
  assert (folder / "in/a.png").read_bytes() == b"x" and (folder / "a.png").read_bytes() == b"y"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "results").write_text("a file")
  with pytest.raises(StorageError, match="write-failed.*comp6_test_cls"):
    mask_files.write_voc_masks(tmp_path, [])
  with pytest.raises(StorageError, match="x{20}"):
    mask_files.write_voc_masks(tmp_path / "other", [("x" * 300, b"")])
