"""The framing of TFRecord files, walked without reading the records.

A record is: length (uint64), masked CRC-32C of the length, the bytes, masked CRC-32C
of the bytes. TensorFlow's reader takes a file that ends inside the 12-byte header for
a clean end and crashes the process on a length of 2^35 or more, so a file whose size
is not that of its manifest is walked here before TensorFlow opens it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from jft_reps import errors

HEADER = 12
FOOTER = 4
_HINTS = (
    (b"\x1f\x8b", "looks gzip-compressed (1f 8b)", "Decompress it, records are stored plain."),
    (b"version https://git-lfs", "a git-LFS pointer", "Fetch the real file with `git lfs pull`."),
    (b"\xff\xd8\xff", "a JPEG picture", "Build records with the program build_records."),
    (b"\x89PNG", "a PNG picture", "Build records with the program build_records."),
    (b"<!doctype", "an HTML page", "The download failed; fetch the file again."),
    (b"<html", "an HTML page", "The download failed; fetch the file again."),
    (b"PK\x03\x04", "a zip archive", "Unpack it first."),
)


def masked_crc(data: bytes) -> int:
  """CRC-32C of `data` as TFRecord stores it: rotated and shifted by a constant."""
  crc = google_crc32c.value(data)
  return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def header(length: int) -> bytes:
  """The 12 bytes before a record of `length` bytes."""
  size = struct.pack("<Q", length)
  return size + struct.pack("<I", masked_crc(size))


def framed(record: bytes) -> bytes:
  """A record as it stands in a file."""
  return header(len(record)) + record + struct.pack("<I", masked_crc(record))


def read(file: BinaryIO, offset: int, length: int) -> tuple[bytes, bool]:
  """(bytes of a record that `walk` found, whether they fit their checksum)."""
  file.seek(offset + HEADER)
  data = file.read(length)
  return data, struct.unpack("<I", file.read(FOOTER))[0] == masked_crc(data)


def _not_records(path: str, start: bytes, expected: str) -> errors.DataError:
  for magic, what, fix in _HINTS:
    if start.lower().startswith(magic.lower()):
      return errors.DataError("not-a-tfrecord", path, what, expected, fix)
  found = f"not a TFRecord, starts with {errors.printable(start[:16])!r}"
  return errors.DataError("not-a-tfrecord", path, found, expected, "Give a TFRecord file.")


def _truncated(path: str, where: str, found: str, expected: str) -> errors.DataError:
  return errors.DataError(
      "truncated-file", f"{path} {where}", found, expected, "Copy or build the shard again."
  )


def walk(path: str | os.PathLike, expected: str = "whole records") -> Iterator[tuple[int, int]]:
  """Walks over the records of a file, reading 12 bytes of each (about 4 microseconds).

  Args:
    path: a local, uncompressed TFRecord file.
    expected: what the file should hold, for the text of errors.

  Yields:
    (offset of the record's header, length of the record in bytes).

  Raises:
    errors.DataError: the framing is damaged; names record and byte.
  """
  path = os.fspath(path)
  size = os.path.getsize(path)
  with open(path, "rb") as file:
    offset = number = 0
    while offset < size:
      where = f"record {number} @ byte {offset}"
      head = file.read(HEADER)
      if len(head) < HEADER:
        if number == 0:
          raise _not_records(path, head, expected)
        raise _truncated(path, where, f"file ends after {len(head)} bytes of a header", expected)
      length, crc = struct.unpack("<QI", head)
      if masked_crc(head[:8]) != crc:
        if number == 0:
          raise _not_records(path, head + file.read(64), expected)
        found = f"checksum of the length is wrong, framing lost, {size - offset} bytes unread"
        raise errors.DataError(
            "corrupt-record", f"{path} {where}", found, expected, "Copy or build the shard again."
        )
      end = offset + HEADER + length + FOOTER
      if end > size:
        left = max(size - offset - HEADER, 0)
        found = f"record of {length} bytes passes the end, file has {left} more"
        raise _truncated(path, where, found, expected)
      yield offset, length
      number += 1
      offset = end
      file.seek(offset)


def damaged_record(path: str | os.PathLike) -> tuple[int, int] | None:
  """(number, offset) of the first record whose bytes fail their checksum; reads everything."""
  with open(path, "rb") as file:
    for number, (offset, length) in enumerate(walk(path)):
      if not read(file, offset, length)[1]:
        return number, offset
  return None
