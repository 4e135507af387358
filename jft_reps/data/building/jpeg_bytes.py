"""What the bytes of a JPEG file say without decoding it: size, orientation, where it ends."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_ORIENTATION = 0x0112
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a segment
_SCAN, _END, _EXIF = 0xDA, 0xD9, 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Inside a scan 0xFF is followed by 0x00 or a restart marker.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
  """(marker, start, end) of every segment; an embedded preview lies inside of one.

  Raises:
    struct.error: the file is cut inside of a segment's length.
  """
  at = 2
  while at + 2 <= len(data) and data[at] == 0xFF:
    marker = data[at + 1]
    if marker == 0xFF:
      at += 1
    elif marker in _ALONE:
      at += 2
    elif marker == _END:
      yield marker, at, at + 2
      return
    else:
      start = at + 2
      at = start + struct.unpack_from(">H", data, start)[0]
      yield marker, start, at
      if marker == _SCAN:
        found = _AFTER_SCAN.search(data, at)
        if found is None:
          return
        at = found.start()


def extent(data: bytes) -> tuple[int, int]:
  """Where the file ends, after its end marker, and its number of scans.

  The end is the length of `data` where there is no marker. A baseline file has one scan, a
  progressive one about ten.
  """
  scans = 0
  for marker, _, after in _segments(data):
    scans += marker == _SCAN
    if marker == _END:
      return after, scans
  return len(data), scans


def size(data: bytes) -> tuple[int, int] | None:
  """Height and width in the first frame's header; None where there is none before the pixels."""
  try:
    for marker, start, _ in _segments(data):
      if marker in _FRAMES:
        return struct.unpack_from(">HH", data, start + 3)
      if marker == _SCAN:
        return None
  except struct.error:
    pass
  return None


def orientation(data: bytes) -> int:
  """Orientation 1 to 8 of the EXIF block; 1 where there is none or it is damaged."""
  for marker, start, after in _segments(data):
    if marker == _SCAN:
      return 1
    if marker == _EXIF and data[start + 2 : start + 8] == b"Exif\0\0":
      return _of_tiff(data[start + 8 : after])
  return 1


def _of_tiff(block: bytes) -> int:
  order = {b"II": "<", b"MM": ">"}.get(block[:2])
  if order is None:
    return 1
  try:
    first = struct.unpack_from(order + "I", block, 4)[0]
    for i in range(struct.unpack_from(order + "H", block, first)[0]):
      tag, _, _, value = struct.unpack_from(order + "HHIH", block, first + 2 + 12 * i)
      if tag == _ORIENTATION:
        return value if 1 <= value <= 8 else 1
  except struct.error:
    pass
  return 1
