"""A class per pixel to the PNG a record stores: 8-bit greyscale, class indices, 255 void.

Palette and 8-bit greyscale PNGs hold indices (VOC's palette only colours them for people), and
so do SBD's MATLAB files. A form that does not, or a class that is not there, is an error, since
the whole set is likely to be so; a file that is cut or does not fit its picture is left out.
"""

from __future__ import annotations

import dataclasses
import io
import os
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from jft_reps import errors
from jft_reps.data.records import reasons
from jft_reps.data.sources import raw, sbd
from jft_reps.data.sources.coco import outlines
from jft_reps.ops import picture_headers

VOID = 255
_LARGEST_FILE = 200 << 20
_COLOURS = {0: "greyscale", 2: "RGB", 3: "palette", 4: "greyscale with alpha", 6: "RGBA"}
_FORM = "a palette or 8-bit greyscale PNG with an index per pixel"
_COLOUR_MAP = ("An RGB mask shows the colours of a colour map: write the index of each colour "
               "instead.")


@dataclasses.dataclass(frozen=True)
class Stored:
  """A mask as stored.

  Attributes:
    reason: a code of `reasons`, or -1 where all is well.
    data: PNG, of the size of the picture.
    pixels: int64 `[256]`, pixels per class index, void last.
  """

  reason: int = -1
  data: bytes = b""
  pixels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(256, np.int64))

  @property
  def classes(self) -> list[int]:
    """Class indices that occur, ascending, without void."""
    return np.flatnonzero(self.pixels[:VOID]).tolist()


def store(mask: raw.Mask, height: int, width: int, num_classes: int) -> Stored:
  """Reads or draws a mask and checks it against its picture.

  Args:
    mask: a file or outlines.
    height: of the picture.
    width: of the picture.
    num_classes: at most 255.

  Raises:
    errors.DataError: the file's form does not hold indices, or an index is no class; names the
      file. An outline that does not fit its picture.
  """
  if mask.size not in (None, (height, width)):
    return Stored(reasons.SIZE_MISMATCH)
  if mask.path:
    indices = _read(mask.path, height, width)
  else:
    indices = outlines.index_mask(mask.outlines, height, width)
  if isinstance(indices, int):
    return Stored(indices)
  _check_classes(mask.path or "outlines", indices, num_classes)
  indices = indices.astype(np.uint8)
  pixels = np.bincount(indices.ravel(), minlength=256)
  if pixels[VOID] == indices.size:
    return Stored(reasons.VOID_MASK)
  return Stored(-1, encode(indices), pixels)


def encode(indices: np.ndarray) -> bytes:
  """8-bit greyscale PNG of uint8 `[height, width]`.

  Rows stay unfiltered: filters serve smooth pictures. VOC's masks take 1.8 kB so, and 2.8 kB (2.2
  in three times the time) as Pillow writes them.
  """
  height, width = indices.shape
  rows = np.zeros((height, width + 1), np.uint8)
  rows[:, 1:] = indices
  header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
  chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 8)), (b"IEND", b""))
  return picture_headers.PNG_MAGIC + b"".join(
      struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
      for kind, body in chunks)


def _read(path: str, height: int, width: int) -> np.ndarray | int:
  """Integers `[height, width]`, or a code of `reasons`."""
  try:
    if not os.path.isfile(path):
      return reasons.MISSING_FILE
    if os.path.getsize(path) > _LARGEST_FILE:
      return reasons.BAD_MASK
    with open(path, "rb") as file:
      data = file.read()
  except OSError:
    return reasons.MISSING_FILE
  if path.lower().endswith(".mat"):
    try:
      indices = sbd.segmentation(data, path)
    except ValueError:
      return reasons.BAD_MASK
    return indices if indices.shape == (height, width) else reasons.SIZE_MISMATCH
  return _png(data, path, height, width)


def _png(data: bytes, path: str, height: int, width: int) -> np.ndarray | int:
  """As `_read`, of a PNG file; nothing is decoded unless the header agrees with the picture."""
  if data.startswith(picture_headers.JPEG_MAGIC):
    raise errors.DataError(
        "mask-form", path, "a JPEG", _FORM, "Its compression changed the indices: make it anew.")
  if not data.startswith(picture_headers.PNG_MAGIC) or len(data) < 33 or data[12:16] != b"IHDR":
    return reasons.BAD_MASK
  stated_width, stated_height, bits, colour = struct.unpack_from(">IIBB", data, 16)
  if colour not in _COLOURS or bits not in (1, 2, 4, 8, 16):
    return reasons.BAD_MASK
  if colour != 3 and (bits, colour) != (8, 0):
    fix = _COLOUR_MAP if colour in (2, 6) else "Write the indices as 8-bit greyscale."
    raise errors.DataError("mask-form", path, f"a PNG of {bits}-bit {_COLOURS[colour]}", _FORM, fix)
  if (stated_height, stated_width) != (height, width):
    return reasons.SIZE_MISMATCH
  try:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
      image.verify()  # the checksums of all chunks, which reading passes over
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
      if image.size != (width, height) or image.mode not in ("P", "L"):
        return reasons.BAD_MASK  # a second header
      return np.asarray(image)
  except Exception:  # Pillow raises whatever the bytes of a broken file lead to
    return reasons.BAD_MASK


def _check_classes(where: str, indices: np.ndarray, num_classes: int) -> None:
  outside = indices[((indices < 0) | (indices >= num_classes)) & (indices != VOID)]
  if outside.size:
    ids, counts = np.unique(outside, return_counts=True)
    more = f" and {len(ids) - 1} other ids out of range" if len(ids) > 1 else ""
    raise errors.DataError(
        "mask-class", where, f"class {ids[0]} in {counts[0]} pixels{more}",
        f"0 to {num_classes - 1}, or 255 for void", "Do the labels list every class, background "
        "first where the set has one?")


class PixelCounts:
  """What the masks of a build hold.

  Args:
    num_classes: of the set.

  Attributes:
    masks: number of them.
  """

  def __init__(self, num_classes: int):
    self.masks, self._classes = 0, num_classes
    self._pixels = np.zeros(256, np.int64)

  def add(self, mask: Stored) -> None:
    """Counts a mask."""
    self.masks += 1
    self._pixels += mask.pixels

  def to_json(self) -> dict[str, Any]:
    """What `merge` takes."""
    return {"masks": self.masks, "pixels": self._pixels.tolist()}

  def merge(self, counts: dict[str, Any]) -> None:
    """Adds the counts of another part of the set, from its `to_json`."""
    self.masks += counts["masks"]
    self._pixels += np.asarray(counts["pixels"], np.int64)

  @property
  def text(self) -> str:
    """How many, the share of void, and classes without a pixel."""
    if not self.masks:
      return "no masks"
    bare = np.flatnonzero(self._pixels[:self._classes] == 0)
    shown = ", ".join(map(str, bare[:10])) + (", …" if len(bare) > 10 else "")
    return (f"{self.masks:,} masks, {self._pixels[VOID] / self._pixels.sum():.2%} of pixels void"
            + (f"; no pixel of {len(bare)} classes: {shown}" if len(bare) else ""))

  def check(self, where: str) -> None:
    """Refuses masks of 0 and 255 alone, which mean to show something and have void there.

    Raises:
      errors.DataError: there is nothing but class 0 and void.
    """
    if self.masks and self._pixels[VOID] and not self._pixels[1:VOID].any():
      raise errors.DataError(
          "mask-form", where, f"nothing but 0 and {VOID} in {self.masks:,} masks",
          "indices of classes", f"{VOID} is void. Write 1 for what the masks show.")

  @property
  def metadata(self) -> dict[str, Any]:
    """What the manifest says of them; pictures without masks have no annotations."""
    if not self.masks:
      return {"annotations": "none"}
    return {"pixels": self._pixels[:self._classes].tolist(),
            "void_pixels": int(self._pixels[VOID])}
