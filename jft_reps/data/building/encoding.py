"""One encoded picture to the bytes a record stores: checked, turned upright, maybe resized.

Runs in worker processes, so it holds nothing, and of pictures it raises nothing: one that cannot
be used comes back as a reason of `jft_reps.data.records.reasons`.
"""

from __future__ import annotations

import dataclasses
import os
import struct

import numpy as np
import tensorflow as tf

from jft_reps.data.building import jpeg_bytes, masks
from jft_reps.data.records import reasons
from jft_reps.data.sources import placeholders, raw
from jft_reps.ops import picture_headers

_FULL_SIZE_QUALITY = 95  # a picture turned upright is kept almost as it was
_LARGEST_FILE = 200 << 20
_MOST_SCANS = 100  # each goes through all pixels, and thousands fit into a small file


@dataclasses.dataclass(frozen=True)
class Encoded:
  """A picture as stored, with its mask.

  Attributes:
    reason: a code of `reasons`, or -1: all is well.
    data, image_format, height, width: of the picture.
    mask: of a picture that has one.
    digest: `placeholders.digest` of the picture's bytes before anything was done to them; empty
      where there are none.
  """

  reason: int = -1
  data: bytes = b""
  image_format: str = ""
  height: int = 0
  width: int = 0
  mask: masks.Stored | None = None
  digest: str = ""


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
  """`[height, width, 3]` turned and mirrored as EXIF `orientation` (1 to 8) asks for."""
  if orientation in (5, 6, 7, 8):
    pixels = pixels.transpose(1, 0, 2)
  if orientation in (3, 4, 7, 8):
    pixels = pixels[::-1]
  if orientation in (2, 3, 6, 7):
    pixels = pixels[:, ::-1]
  return np.ascontiguousarray(pixels)


def _header(data: bytes) -> tuple[int, tuple[int, int]]:
  """Why a picture cannot be used, a code of `reasons` or -1, and its height and width."""
  if not data:
    return reasons.EMPTY_IMAGE, (0, 0)
  if not data.startswith((picture_headers.JPEG_MAGIC, picture_headers.PNG_MAGIC)):
    return reasons.UNSUPPORTED_FORMAT, (0, 0)
  # In Python, since a dozen eager ops would cost as much as a quarter of decoding.
  size = jpeg_bytes.size(data) if data.startswith(picture_headers.JPEG_MAGIC) else None
  if size is None:
    size = tuple(picture_headers.header_size(tf.constant(data)).numpy().tolist())
  many, small, aspect = picture_headers.side_problems(min(size), max(size))
  for problem, reason in ((many, reasons.TOO_MANY_PIXELS), (small, reasons.TOO_SMALL),
                          (aspect, reasons.BAD_ASPECT)):
    if problem:
      return reason, size
  return -1, size


def encode_picture(
    picture: str | bytes, mask: raw.Mask | None = None, store_size: int = 0,
    store_quality: int = 75, exif: bool = True, num_classes: int = 0,
) -> Encoded:
  """`encode_file` of a path, or `encode` of bytes; with its mask, of `num_classes` classes.

  Raises:
    errors.DataError: of the mask, as `masks.store`.
  """
  stored = (encode(picture, store_size, store_quality, exif) if isinstance(picture, bytes)
            else encode_file(picture, store_size, store_quality, exif))
  if mask is None or stored.reason >= 0:
    return stored
  of_mask = masks.store(mask, stored.height, stored.width, num_classes)
  return dataclasses.replace(stored, reason=of_mask.reason, mask=of_mask)


def encode_file(
    path: str,
    store_size: int = 0,
    store_quality: int = 75,
    exif: bool = True,
) -> Encoded:
  """Reads and checks a picture by decoding it whole.

  Args:
    path: a JPEG or PNG file.
    store_size: side of the stored picture in pixels; 0 keeps its size.
    store_quality: of the JPEG of a resized picture, 1 to 100. 75 is libjpeg's default (TFDS's
      `open_images_v4/300k` has 72); 95 takes twice the bytes and 1.3 times the time to read.
    exif: turn the picture as its EXIF orientation says; annotations of boxes refer to the pixels
      as they are stored.

  Returns:
    The file's own bytes where nothing has to change (bytes after the end marker of a JPEG
    cut off), else the changed pixels as a JPEG, of quality 95 where the size is kept.
  """
  try:
    if not os.path.isfile(path):
      return Encoded(reasons.MISSING_FILE)
    if os.path.getsize(path) > _LARGEST_FILE:
      return Encoded(reasons.TOO_MANY_PIXELS)
    with open(path, "rb") as file:
      return encode(file.read(), store_size, store_quality, exif)
  except OSError:
    return Encoded(reasons.MISSING_FILE)


def encode(
    data: bytes,
    store_size: int = 0,
    store_quality: int = 75,
    exif: bool = True,
) -> Encoded:
  """As `encode_file`, of the bytes of a file."""
  stored = _encode(data, store_size, store_quality, exif)
  return dataclasses.replace(stored, digest=placeholders.digest(data))


def _encode(data: bytes, store_size: int, store_quality: int, exif: bool) -> Encoded:
  jpeg = data.startswith(picture_headers.JPEG_MAGIC)
  try:
    reason, size = _header(data)
    if reason >= 0:
      return Encoded(reason)
    if jpeg:
      end, scans = jpeg_bytes.extent(data)
      if scans > _MOST_SCANS:
        return Encoded(reasons.DECODE_ERROR)
      data = data[:end]
    orientation = jpeg_bytes.orientation(data) if jpeg and exif else 1
    if orientation == 1 and store_size in (0, size[0]) and store_size in (0, size[1]):
      _check_decodes(data, jpeg)
      return Encoded(-1, data, "jpeg" if jpeg else "png", *size)
    pixels = (tf.io.decode_jpeg if jpeg else tf.io.decode_png)(data, channels=3)
  except (tf.errors.OpError, struct.error):
    return Encoded(reasons.DECODE_ERROR)
  if orientation != 1:
    pixels = tf.constant(upright(pixels.numpy(), orientation))
  if store_size:
    pixels = tf.image.resize(pixels, [store_size, store_size], "bilinear", antialias=False)
    pixels = tf.cast(tf.round(pixels), tf.uint8)
  height, width = pixels.shape[:2]
  quality = store_quality if store_size else _FULL_SIZE_QUALITY
  stored = tf.io.encode_jpeg(pixels, quality=quality).numpy()
  return Encoded(-1, stored, "jpeg", height, width)


def _check_decodes(data: bytes, jpeg: bool) -> None:
  """Decodes a picture that is stored as it is.

  All that can fail in a JPEG is reading its coefficients; an eighth of the size reads them all and
  saves a quarter of the time.
  """
  if jpeg:
    tf.io.decode_jpeg(data, channels=3, ratio=8)
  else:
    tf.io.decode_png(data, channels=3)
