"""One encoded picture to the bytes a record stores: checked, turned upright, maybe resized.

Runs in worker processes, so it holds nothing, and of pictures it raises nothing: one that cannot
be used comes back as a reason of `jft_reps.data.reasons`.
"""

from __future__ import annotations

import dataclasses
import os
import struct

import numpy as np
import tensorflow as tf

from jft_reps.data import masks, reasons
from jft_reps.data.sources import raw
from jft_reps.ops import picture_headers

_FULL_SIZE_QUALITY = 95  # a picture turned upright is kept almost as it was
_LARGEST_FILE = 200 << 20
_ORIENTATION = 0x0112


@dataclasses.dataclass(frozen=True)
class Encoded:
  """A picture as stored, with its mask; `reason` is a code of `reasons`, or -1: all is well."""

  reason: int = -1
  data: bytes = b""
  image_format: str = ""
  height: int = 0
  width: int = 0
  mask: masks.Stored | None = None


def jpeg_end(data: bytes) -> int:
  """Where the JPEG file ends, after its end marker; the length of `data` if there is none.

  Walks the segments, so that an end marker inside an embedded preview is passed over.
  """
  at = 2
  while at + 4 <= len(data) and data[at] == 0xFF:
    marker = data[at + 1]
    if marker == 0xD9:
      return at + 2
    if marker == 0xFF:
      at += 1
    elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
      at += 2
    else:
      scan = marker == 0xDA
      at += 2 + struct.unpack_from(">H", data, at + 2)[0]
      while scan:  # entropy-coded bytes: 0xFF is followed by 0x00 or a restart marker
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
          return len(data)
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
          break
        at += 2
  if data[at : at + 2] == b"\xff\xd9":
    return at + 2
  return len(data)


def exif_orientation(data: bytes) -> int:
  """Orientation 1 to 8 of a JPEG's EXIF block; 1 where there is none or it is damaged."""
  at = 2
  while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
    size = struct.unpack_from(">H", data, at + 2)[0]
    if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
      return _tiff_orientation(data[at + 10 : at + 2 + size])
    at += 2 + size
  return 1


def _tiff_orientation(block: bytes) -> int:
  order = {b"II": "<", b"MM": ">"}.get(block[:2])
  try:
    first = struct.unpack_from(order + "I", block, 4)[0]
    for i in range(struct.unpack_from(order + "H", block, first)[0]):
      tag, _, _, value = struct.unpack_from(order + "HHIH", block, first + 2 + 12 * i)
      if tag == _ORIENTATION:
        return value if 1 <= value <= 8 else 1
  except (struct.error, TypeError):
    pass
  return 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
  """`[height, width, 3]` turned and mirrored as EXIF `orientation` (1 to 8) asks for."""
  if orientation in (5, 6, 7, 8):
    pixels = pixels.transpose(1, 0, 2)
  if orientation in (3, 4, 7, 8):
    pixels = pixels[::-1]
  if orientation in (2, 3, 6, 7):
    pixels = pixels[:, ::-1]
  return np.ascontiguousarray(pixels)


def _header_reason(data: bytes, limits: picture_headers.SizeLimits) -> int:
  if not data:
    return reasons.EMPTY_IMAGE
  if not data.startswith((picture_headers.JPEG_MAGIC, picture_headers.PNG_MAGIC)):
    return reasons.UNSUPPORTED_FORMAT
  many, small, aspect = limits.problems(picture_headers.header_size(tf.constant(data)))
  if many:
    return reasons.TOO_MANY_PIXELS
  if small:
    return reasons.TOO_SMALL
  return reasons.BAD_ASPECT if aspect else -1


def encode_picture(
    picture: str | bytes, mask: raw.Mask | None = None, store_size: int = 0,
    store_quality: int = 75, exif: bool = True, num_classes: int = 0,
) -> Encoded:
  """`encode_file` of a path, or `encode` of bytes; with its mask, of `num_classes` classes.

  Raises:
    errors.DataError: of the mask, as `masks.store`.
  """
  encoder = encode if isinstance(picture, bytes) else encode_file
  stored = encoder(picture, store_size, store_quality, exif=exif)
  if mask is None or stored.reason >= 0:
    return stored
  of_mask = masks.store(mask, stored.height, stored.width, num_classes)
  return dataclasses.replace(stored, reason=of_mask.reason, mask=of_mask)


def encode_file(
    path: str,
    store_size: int = 0,
    store_quality: int = 75,
    limits: picture_headers.SizeLimits | None = None,
    exif: bool = True,
) -> Encoded:
  """Reads and checks a picture by decoding it whole.

  Args:
    path: a JPEG or PNG file.
    store_size: side of the stored picture in pixels; 0 keeps its size.
    store_quality: of the JPEG of a resized picture, 1 to 100. 75 is libjpeg's default (TFDS's
      `open_images_v4/300k` has 72); 95 takes twice the bytes and 1.3 times the time to read.
    limits: of the size in the header.
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
      return encode(file.read(), store_size, store_quality, limits, exif)
  except OSError:
    return Encoded(reasons.MISSING_FILE)


def encode(
    data: bytes,
    store_size: int = 0,
    store_quality: int = 75,
    limits: picture_headers.SizeLimits | None = None,
    exif: bool = True,
) -> Encoded:
  """As `encode_file`, of the bytes of a file."""
  try:
    reason = _header_reason(data, limits or picture_headers.SizeLimits())
    if reason >= 0:
      return Encoded(reason)
    jpeg = data.startswith(picture_headers.JPEG_MAGIC)
    data = data[: jpeg_end(data)] if jpeg else data
    decode = tf.io.decode_jpeg if jpeg else tf.io.decode_png
    pixels = decode(data, channels=3)
  except (tf.errors.OpError, struct.error):
    return Encoded(reasons.DECODE_ERROR)
  orientation = exif_orientation(data) if jpeg and exif else 1
  height, width = pixels.shape[:2]
  if orientation == 1 and store_size in (0, height) and store_size in (0, width):
    return Encoded(-1, data, "jpeg" if jpeg else "png", height, width)
  if orientation != 1:
    pixels = tf.constant(upright(pixels.numpy(), orientation))
  if store_size:
    pixels = tf.image.resize(pixels, [store_size, store_size], "bilinear", antialias=False)
    pixels = tf.cast(tf.round(pixels), tf.uint8)
  height, width = pixels.shape[:2]
  quality = store_quality if store_size else _FULL_SIZE_QUALITY
  stored = tf.io.encode_jpeg(pixels, quality=quality).numpy()
  return Encoded(-1, stored, "jpeg", height, width)
