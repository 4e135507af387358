"""Members of tar archives, found by their headers and read in place: nothing is extracted.

The headers are walked here instead of by `tarfile`, which takes a damaged header for the end of the
archive, reads extended headers of any length in quadratic time, keeps every member in memory and
pads sparse ones; with guards against all that around it, it is as long as this. What is no plain
file or folder, or has a path that leaves its folder, is refused.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from jft_reps import errors

_BLOCK = 512
_LONGEST_HEADER = 1 << 20
_MOST_MEMBERS = 1_000_000
_RATIO, _SLACK = 200, 1 << 20
_STEP = 1 << 20
_PAX, _LONG_NAME, _LONG_LINK = (tarfile.XHDTYPE, tarfile.XGLTYPE), b"L", b"K"


class Member(NamedTuple):
  """A file inside of an archive: its bytes are at `offset` of the archive's own."""

  name: str
  offset: int
  size: int


class _Unzipped:
  """Bytes of a gzip file, forwards only; ends where they are 200 times those of the file."""

  def __init__(self, file: BinaryIO, path: str):
    self._file, self._path = file, path
    self._bytes, self._at = gzip.GzipFile(fileobj=file), 0

  def read(self, size: int) -> bytes:
    data = self._bytes.read(size)
    self._at += len(data)
    if self._at > _RATIO * self._file.tell() + _SLACK:
      raise errors.DataError(
          "archive-bomb", self._path, f"{self._at} bytes out of {self._file.tell()}",
          f"at most {_RATIO} times as many")
    return data

  def seek(self, at: int) -> None:
    while self._at < at and self.read(min(_STEP, at - self._at)):
      pass


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[tuple[BinaryIO | _Unzipped, int | None]]:
  """An archive, plain or compressed by gzip, with its size; None: unknown before its end.

  Raises:
    errors.DataError: it cannot be read, is damaged, or grows more than 200 times.
  """
  path = os.fspath(path)
  try:
    with open(path, "rb") as file:
      zipped = file.read(2) == b"\x1f\x8b"
      file.seek(0)
      if zipped:
        yield _Unzipped(file, path), None
      else:
        yield file, os.fstat(file.fileno()).st_size
  except (OSError, EOFError, zlib.error) as error:
    raise errors.DataError(
        "bad-archive", path, errors.printable(error) or "it cannot be read", "a whole tar archive",
        "If the file was cut off, fetch it again.") from None


def members(
    file: BinaryIO | _Unzipped, where: str, start: int = 0, end: int | None = None
) -> Iterator[Member]:
  """Every plain file of an archive, in its order; folders are passed over.

  Args:
    file: as of `opened`, or one that holds the archive.
    where: for the text of errors.
    start: its first byte.
    end: after its last byte, where that is known.

  Raises:
    errors.DataError: a header is damaged or cut off; a member is a link, a device, sparse, or
      leaves its folder; there are more than a million. Names the byte.
  """
  at, count = start, 0
  given: dict[str, str] = {}
  while True:
    info = _header(file, f"{where} @ byte {at}", at)
    if info is None:
      return
    here = f"{where} @ byte {at}"
    count += 1
    if info.size < 0 or count > _MOST_MEMBERS:
      raise errors.DataError("bad-archive", here, f"member {count} of {info.size} bytes",
                             f"0 bytes or more, at most {_MOST_MEMBERS} members")
    data = at + _BLOCK
    if info.type in (*_PAX, _LONG_NAME, _LONG_LINK):
      extended = _extended(info, read(file, Member("header", data, info.size), here,
                                      _LONGEST_HEADER), here)
      given = {**given, **extended}
      size = info.size
    else:
      size = int(given.get("size", info.size))
      name = given.get("path", info.name)
      if end is not None and data + size > end:
        raise _cut(here, f"member of {size} bytes passes the end, {max(end - data, 0)} are left")
      if _is_file(info, name, here):
        yield Member(name, data, size)
      given = {}
    at = data + -(-size // _BLOCK) * _BLOCK


def read(file: BinaryIO | _Unzipped, member: Member, where: str, most: int) -> bytes:
  """The bytes of a member.

  Raises:
    errors.DataError: it has more than `most`, or the archive ends inside of it.
  """
  if member.size > most:
    raise errors.DataError(
        "archive-member", f"{where} {errors.printable(member.name)}", f"{member.size} bytes",
        f"at most {most}")
  file.seek(member.offset)
  data = file.read(member.size)
  if len(data) < member.size:
    raise _cut(f"{where} {errors.printable(member.name)}",
               f"the archive ends after {len(data)} of {member.size} bytes")
  return data


def _header(file: BinaryIO | _Unzipped, where: str, at: int) -> tarfile.TarInfo | None:
  """The header at a byte; None: a block of zeros, which ends an archive."""
  file.seek(at)
  block = file.read(_BLOCK)
  if len(block) < _BLOCK:
    raise _cut(where, f"{len(block)} bytes of a header; no mark of the end came before")
  if not block.strip(b"\0"):
    return None
  try:
    return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
  except (tarfile.HeaderError, ValueError) as error:
    raise errors.DataError(
        "bad-archive", where, f"no header of a tar archive: {errors.printable(error)}",
        "a tar archive") from None


def _extended(info: tarfile.TarInfo, data: bytes, where: str) -> dict[str, str]:
  """What a header says of the next member: its `path` and `size`, in pax's form or GNU's."""
  if info.type == _LONG_NAME:
    return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
  if info.type == _LONG_LINK:
    return {}
  found, at = {}, 0
  while at < len(data):
    digits = data[at : at + 20].split(b" ", 1)[0]
    length = int(digits) if digits.isdigit() else 0
    key, equals, value = data[at + len(digits) + 1 : at + length - 1].partition(b"=")
    if length < 5 or not equals:
      raise errors.DataError("bad-archive", where, "an extended header that is damaged",
                             "lines of length, key=value")
    if key.startswith(b"GNU.sparse"):
      raise _refused(where, "a sparse file")
    if key == b"path" or key == b"size" and value.isdigit() and len(value) < 18:
      found[key.decode()] = value.decode("utf-8", "surrogateescape")
    at += length
  return found


def _is_file(info: tarfile.TarInfo, name: str, where: str) -> bool:
  """Whether a member is a plain file and no folder."""
  if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
    kinds = {tarfile.SYMTYPE: "a link", tarfile.LNKTYPE: "a link", tarfile.CHRTYPE: "a device",
             tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a FIFO", b"S": "a sparse file"}
    kind = kinds.get(info.type, f"of type {errors.printable(info.type)}")
    raise _refused(where, f"{errors.printable(name)} is {kind}")
  if name.startswith("/") or "\0" in name or ".." in name.replace("\\", "/").split("/"):
    raise errors.DataError("path-outside", where, f"path {errors.printable(name)!r}",
                           "one below the archive's folder")
  return info.type != tarfile.DIRTYPE


def _refused(where: str, found: str) -> errors.DataError:
  return errors.DataError("archive-member", where, found, "plain files and folders",
                          "Pack the pictures themselves.")


def _cut(where: str, found: str) -> errors.DataError:
  return errors.DataError("truncated-file", where, found, "a whole tar archive",
                          "If the file was cut off, fetch it again.")
