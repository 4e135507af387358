"""A mask file becomes the PNG of the same indices, a reason, or an error that names the file."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some
from PIL import Image

from jft_reps import errors
from jft_reps.data.building import build, masks
from jft_reps.data.records import reasons
from jft_reps.data.sources import raw, sbd
from tests.data import mask_files
from tests.data import picture_files as files

_SIZE = (40, 50)
_GOOD = mask_files.png(mask_files.indices())
_MAT = mask_files.matlab(mask_files.indices())
_PLAIN_MAT = mask_files.matlab(mask_files.indices(), compressed=False)


def _store(tmp_path, data, classes=4, name="a.png", size=_SIZE):
  (tmp_path / name).write_bytes(data)
  return masks.store(raw.Mask(str(tmp_path / name)), *size, classes)


def _pixels(data: bytes) -> np.ndarray:
  image = Image.open(io.BytesIO(data))
  image.load()
  assert image.mode == "L"
  return np.asarray(image)


@given(some.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_any_indices_survive_the_png(indices):
  np.testing.assert_array_equal(_pixels(masks.encode(indices)), indices)


@pytest.mark.parametrize("mode", ["P", "L"])
def test_palette_and_greyscale_are_indices(tmp_path, mode):
  want = mask_files.indices()
  got = _store(tmp_path, mask_files.png(want, mode))
  np.testing.assert_array_equal(_pixels(got.data), want)
  ids, counts = np.unique(want, return_counts=True)
  assert got.reason == -1 and got.classes == ids[ids < 255].tolist()
  assert {i: n for i, n in enumerate(got.pixels) if n} == dict(zip(ids, counts))
  assert _pixels(got.data).sum() == (np.arange(256) * got.pixels).sum()


def test_the_index_counts_and_not_its_colour(tmp_path):
  """Two of four bits a pixel, no colour of that index, or the same colour for all of them."""
  rows = b"".join(b"\0" + bytes([0x01, 0x23]) * 4 for _ in range(8))
  for palette in (b"\x80\0\0" * 16, b"\x01\x02\x03"):
    got = _store(tmp_path, files.png(8, 16, 4, 3, rows, palette), size=(8, 16))
    np.testing.assert_array_equal(_pixels(got.data), np.tile([0, 1, 2, 3], (8, 4)))


def test_voc_masks_are_smaller_and_the_same(shared_data, tmp_path):
  paths = sorted((shared_data / "detection" / "voc100" / "SegmentationClass").iterdir())
  before = after = 0
  for path in paths:
    want = np.asarray(Image.open(path))
    got = masks.store(raw.Mask(str(path)), *want.shape, 21)
    np.testing.assert_array_equal(_pixels(got.data), want)
    before, after = before + path.stat().st_size, after + len(got.data)
  assert len(paths) == 46 and after < 0.65 * before


def test_sbd_matlab_files(tmp_path):
  want = mask_files.indices(classes=21)
  got = _store(tmp_path, mask_files.matlab(want), 21, "a.mat")
  np.testing.assert_array_equal(_pixels(got.data), want)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_matlab_numbers_are_those_scipy_reads(dtype, compressed):
  import scipy.io

  want = mask_files.indices().astype(dtype)
  data = mask_files.matlab(want, compressed)
  got = sbd.segmentation(data, "here")
  np.testing.assert_array_equal(got, want)
  theirs = scipy.io.loadmat(io.BytesIO(data))["GTcls"]["Segmentation"][0, 0]
  np.testing.assert_array_equal(got, theirs)
  small = _savemat(other=want, GTcls={"Segmentation": want[:1, :3]})
  assert sbd.segmentation(small, "").tolist() == want[:1, :3].tolist()


def test_a_matlab_file_that_unpacks_to_gigabytes_is_left_alone(tmp_path):
  packed = zlib.compress(bytes(70 << 20))
  data = _MAT[:128] + struct.pack("<II", 15, len(packed)) + packed
  assert _store(tmp_path, data, name="a.mat").reason == reasons.BAD_MASK


def _of_bits(bits: int, colour: int) -> bytes:
  channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
  return files.png(*_SIZE, bits, colour, (b"\0" + bytes(-(-50 * bits * channels // 8))) * 40)


def _savemat(**content) -> bytes:
  import scipy.io

  out = io.BytesIO()
  scipy.io.savemat(out, content)
  return out.getvalue()


@pytest.mark.parametrize("data, name, message", [
    (mask_files.png(mask_files.indices(), "RGB"), "a.png",
     r"mask-form.*a.png: a PNG of 8-bit RGB; expected a palette or 8-bit.*colour map"),
    (mask_files.png(mask_files.indices(), "RGBA"), "a.png", "8-bit RGBA;.*colour map"),
    (mask_files.png(mask_files.indices(), "LA"), "a.png", "8-bit greyscale with alpha"),
    (_of_bits(16, 0), "a.png", "16-bit greyscale; .*Write the indices as 8-bit"),
    (_of_bits(1, 0), "a.png", "1-bit greyscale"),
    (mask_files.jpeg(mask_files.indices()), "a.png", "a.png: a JPEG; expected a palette"),
    (mask_files.png(mask_files.indices(classes=7)), "a.png",
     r"mask-class.*a.png: class 4 in \d+ pixels and 2 other ids.*0 to 3, or 255"),
    (mask_files.png(np.full(_SIZE, 254, np.uint8)), "a.png", "class 254 in 2000 pixels; "),
    (mask_files.matlab(np.full(_SIZE, 256, np.int16)), "a.mat", "class 256 in 2000 pixels; "),
    (mask_files.matlab(np.full(_SIZE, -1, np.int16)), "a.mat", "class -1 in 2000 pixels; "),
    (mask_files.matlab(np.ones(_SIZE)), "a.mat", "a.mat: Segmentation of float64"),
    (_savemat(GTinst={"Segmentation": np.ones(_SIZE, np.uint8)}), "a.mat",
     "variables GTinst; expected GTcls.Segmentation.*folder cls"),
    (_savemat(GTcls=np.ones(_SIZE)), "a.mat", "expected GTcls.Segmentation"),
    (b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(900), "a.mat", r"HDF5.*-v7"),
    (b"\x89HDF\r\n\x1a\n" + bytes(900), "a.mat", "HDF5"),
])
def test_what_holds_no_indices_is_an_error(tmp_path, data, name, message):
  with pytest.raises(errors.DataError, match=message):
    _store(tmp_path, data, name=name)


def test_a_wrong_form_is_said_before_a_wrong_size(tmp_path):
  with pytest.raises(errors.DataError, match="RGB"):
    _store(tmp_path, mask_files.png(mask_files.indices(), "RGB"), size=(41, 50))


def _chunk(kind: bytes, body: bytes) -> bytes:
  return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


_FLIPPED = bytearray(_GOOD)
_FLIPPED[_GOOD.index(b"IDAT") + 12] ^= 1
_AFTER_HEADER = 33


@pytest.mark.parametrize("data, name, reason", [
    (_GOOD[:-20], "a.png", "bad_mask"), (_GOOD[:40], "a.png", "bad_mask"),
    (_GOOD[:8], "a.png", "bad_mask"), (b"", "a.png", "bad_mask"), (b"hello", "a.png", "bad_mask"),
    (bytes(_FLIPPED), "a.png", "bad_mask"),
    (_GOOD[:_AFTER_HEADER] + b"\xff\xff\xff\xffzTXt" + _GOOD[_AFTER_HEADER:], "a.png", "bad_mask"),
    (_GOOD[:_AFTER_HEADER] + _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50 << 20)))
     + _GOOD[_AFTER_HEADER:], "a.png", "bad_mask"),
    (_GOOD[:_AFTER_HEADER] + _chunk(b"IHDR", struct.pack(">IIBBBBB", 51, 40, 8, 3, 0, 0, 0))
     + _GOOD[_AFTER_HEADER:], "a.png", "bad_mask"),
    (files.png(65000, 65000, 8, 3, b"\0"), "a.png", "size_mismatch"),
    (files.png(40, 50, 8, 3, b"\0"), "a.png", "bad_mask"),
    (mask_files.png(mask_files.indices().T.copy()), "a.png", "size_mismatch"),
    (mask_files.png(np.full(_SIZE, 255, np.uint8)), "a.png", "void_mask"),
    (_MAT[:-30], "a.mat", "bad_mask"), (_PLAIN_MAT[:-30], "a.mat", "bad_mask"),
    (b"", "a.mat", "bad_mask"), (b"x" * 300, "a.mat", "bad_mask"),
    (mask_files.matlab(mask_files.indices().T.copy()), "a.mat", "size_mismatch"),
    (None, "a.png", "missing_file"),
])
def test_what_is_cut_or_does_not_fit_has_a_reason(tmp_path, data, name, reason):
  if data is None:
    found = masks.store(raw.Mask(str(tmp_path / name)), *_SIZE, 4).reason
  else:
    found = _store(tmp_path, data, name=name).reason
  assert reasons.NAMES[found] == reason


@given(st.data())
def test_no_bytes_bring_it_down(tmp_path_factory, data):
  """Bytes changed anywhere: the same indices, an error of ours, or a reason; nothing else."""
  which = data.draw(st.sampled_from([("a.png", _GOOD), ("a.mat", _MAT), ("a.mat", _PLAIN_MAT)]))
  broken = bytearray(which[1])
  for _ in range(data.draw(st.integers(1, 3))):
    broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
  try:
    got = _store(tmp_path_factory.getbasetemp(), bytes(broken), 4, which[0])
  except errors.DataError:
    return
  assert got.reason >= 0 or _pixels(got.data).shape == _SIZE


def test_errors_of_a_mask_keep_their_parts_across_processes(tmp_path):
  rgb = mask_files.png(mask_files.indices(), "RGB")
  names = {f"p{i}": mask_files.indices(i) for i in range(3)}
  pictures, folder = mask_files.folders(tmp_path, **names, p3=rgb)
  sources = [raw.Source(f"p{i}", str(pictures / f"p{i}.jpg"), (), (), "here",
                        mask=raw.Mask(str(folder / f"p{i}.png"))) for i in range(4)]
  with pytest.raises(errors.DataError) as caught:
    build.build(lambda: sources, tmp_path / "out", "train", 2, ["a", "b", "c", "d"], masks=True,
                processes=2)
  assert caught.value.slug == "mask-form" and caught.value.where == str(folder / "p3.png")
  assert "RGB" in caught.value.found and "colour map" in caught.value.fix


def test_masks_of_nothing_but_0_and_255_are_refused_and_bare_classes_named():
  counts = masks.PixelCounts(3)
  binary = np.array([[0, 255], [0, 0]], np.uint8)
  counts.add(masks.Stored(pixels=np.bincount(binary.ravel(), minlength=256)))
  with pytest.raises(errors.DataError, match="nothing but 0 and 255 in 1 masks.*Write 1"):
    counts.check("here")
  counts.add(masks.Stored(pixels=np.bincount([0, 2], minlength=256)))
  counts.check("here")
  assert counts.text.endswith("; no pixel of 1 classes: 1")
