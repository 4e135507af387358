"""Values of pictures in one file per shard, in any order, and the order in which they belong.

A picture goes to shard floor(hash * shards), where hash in [0, 1) depends on its id alone, and
every shard is sorted by hash.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from jft_reps import errors

_HEAD = struct.Struct("<dQIQ")  # hash, number of the picture, bytes of the id, bytes of the value
_BUFFER = 8 << 20


def unit_hash(picture_id: str) -> float:
  """Stable hash of a picture's id in [0, 1): the leading 53 bits of a 64-bit BLAKE2b."""
  digest = hashlib.blake2b(_name(picture_id), digest_size=8).digest()
  return (int.from_bytes(digest, "big") >> 11) / 2**53


def _name(picture_id: str) -> bytes:
  return picture_id.encode("utf-8", "surrogateescape")


class Entry(NamedTuple):
  """Where the value of one picture lies; sorts by hash, then by id."""

  value: float
  name: bytes
  number: int
  offset: int
  length: int


class Spills:
  """One file per shard to which values are appended, some megabytes at a time.

  Args:
    directory: where they lie; it has to be there.
    shards: number of files.

  Attributes:
    written: values so far.
  """

  def __init__(self, directory: str, shards: int):
    self.directory, self.shards, self.written = directory, shards, 0
    self._buffers: dict[int, list[bytes]] = {}
    self._buffered = 0

  def add(self, picture_id: str, value: bytes) -> None:
    """Adds the value of a picture to its shard."""
    position, name = unit_hash(picture_id), _name(picture_id)
    buffer = self._buffers.setdefault(int(position * self.shards), [])
    buffer += (_HEAD.pack(position, self.written, len(name), len(value)), name, value)
    self.written += 1
    self._buffered += len(value) + len(name) + _HEAD.size
    if self._buffered > _BUFFER:
      self.flush()

  def flush(self) -> None:
    """Brings everything to the files.

    Raises:
      errors.StorageError: it does not fit.
    """
    try:
      for shard, parts in self._buffers.items():
        with open(path_of(self.directory, shard), "ab") as file:
          file.writelines(parts)
    except OSError as error:
      raise errors.StorageError("spill", self.directory, error.strerror or str(error),
                                "room for all records once more", "Make room and build again."
                                ) from None
    self._buffers, self._buffered = {}, 0


def path_of(directory: str, shard: int) -> str:
  """Path of the file of one shard; there is none where nothing was added."""
  return os.path.join(directory, f"spill-{shard:05d}")


def entries(path: str, where: str) -> list[Entry]:
  """What lies in a file, in order of hash; memory holds ids, not values.

  Args:
    path: of the file, which need not be there.
    where: for the text of the error.

  Raises:
    errors.DataError: an id was added twice.
  """
  found = []
  size = os.path.getsize(path) if os.path.exists(path) else 0
  if size:
    with open(path, "rb") as file:
      while file.tell() < size:
        position, number, id_bytes, length = _HEAD.unpack(file.read(_HEAD.size))
        found.append(Entry(position, file.read(id_bytes), number, file.tell(), length))
        file.seek(length, os.SEEK_CUR)
  found.sort()
  for one, two in zip(found, found[1:]):
    if one.name == two.name:
      raise errors.DataError(
          "duplicate-id", where, f"picture id {errors.printable(one.name)!r} was written twice, as "
          f"pictures {one.number} and {two.number}", "unique ids", "Remove one or rename it.")
  return found


def values(path: str, found: list[Entry]) -> Iterator[bytes]:
  """The values of entries of a file, in their order."""
  if found:
    with open(path, "rb") as file:
      for entry in found:
        file.seek(entry.offset)
        yield file.read(entry.length)
