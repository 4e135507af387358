"""Masks of SBD (Hariharan et al. 2011): `GTcls.Segmentation` of MATLAB 5 files.

Read here and not by SciPy, whose compiled reader (1.17.1) ended the process with a segmentation
fault on 9 of the first 143 copies of such a file that were damaged at one to four places. The
format: elements of (type, bytes, padding to 8); a matrix is an element of elements, first flags,
dimensions and name, then numbers by column, or the names of fields and a matrix for each.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from jft_reps import errors

_LARGEST = 64 << 20  # bytes, once they are decompressed; those of SBD are below 1 MB
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_STRUCT, _NUMBERS = 2, range(6, 16)  # classes of a matrix
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
           13: "u8"}


def segmentation(data: bytes, where: str) -> np.ndarray:
  """Whole numbers `[height, width]` of a file of SBD's folder `cls`.

  Args:
    data: the file.
    where: for the text of errors.

  Raises:
    errors.DataError: it is of MATLAB 7.3, or holds something else.
    ValueError: it is cut or damaged.
  """
  if data.startswith((b"MATLAB 7.3", b"\x89HDF")):
    raise errors.DataError(
        "mask-form", where, "MATLAB 7.3 (HDF5)", "a MATLAB 5 file as SBD's",
        "Save it with -v7, or write PNGs.")
  try:
    order = {b"IM": "<", b"MI": ">"}.get(data[_HEADER - 2 : _HEADER])
    if order is None:
      raise ValueError("no MATLAB 5 file")
    numbers = _find(data[_HEADER:], order, where)
  except (struct.error, zlib.error, UnicodeDecodeError) as error:
    raise ValueError(error) from None
  if numbers.ndim != 2 or numbers.dtype.kind not in "iu":
    raise errors.DataError(
        "mask-form", where, f"Segmentation of {numbers.dtype} {numbers.shape}",
        "whole numbers [height, width]")
  return numbers


def _find(data: bytes, order: str, where: str) -> np.ndarray:
  names = []
  for kind, body in _elements(data, order):
    if kind == _COMPRESSED:
      unpack = zlib.decompressobj()
      body = unpack.decompress(body, _LARGEST)
      if not unpack.eof:
        raise ValueError("cut, or too large")
      kind, body = next(_elements(body, order), (0, b""))
    if kind != _MATRIX:
      continue
    kind, _, name, parts = _matrix(body, order)
    names.append(name)
    fields = _fields(parts, order) if name == "GTcls" and kind == _STRUCT else {}
    if "Segmentation" in fields:
      return _numbers(fields["Segmentation"], order)
  raise errors.DataError(
      "mask-form", where, f"variables {errors.printable(', '.join(names)) or 'none'}",
      "GTcls.Segmentation", "SBD's classes are in its folder cls, objects in inst.")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
  """(type, body) of elements one after another."""
  at = 0
  while at < len(data):
    kind, size = struct.unpack_from(order + "II", data, at)
    if kind >> 16:  # up to four bytes lie in the tag itself
      kind, size, start, at = kind & 0xFFFF, kind >> 16, at + 4, at + 8
    else:
      start = at + 8
      at = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
    if start + size > min(at, len(data)):
      raise ValueError("cut")
    yield kind, data[start : start + size]


def _matrix(
    body: bytes, order: str
) -> tuple[int, tuple[int, ...], str, list[tuple[int, bytes]]]:
  """(class, dimensions, name, other elements) of a matrix."""
  (_, flags), (_, sides), (_, name), *parts = _elements(body, order)
  dimensions = struct.unpack(f"{order}{len(sides) // 4}i", sides)
  return struct.unpack_from(order + "I", flags)[0] & 0xFF, dimensions, name.decode(), parts


def _fields(parts: list[tuple[int, bytes]], order: str) -> dict[str, bytes]:
  """Body of a struct's matrices by field."""
  (_, length), (_, text), *values = parts
  step = struct.unpack(order + "i", length)[0]
  if step <= 0:
    raise ValueError("fields without a name")
  names = [text[i : i + step].split(b"\0")[0].decode() for i in range(0, len(text), step)]
  return {name: body for name, (kind, body) in zip(names, values) if kind == _MATRIX}


def _numbers(body: bytes, order: str) -> np.ndarray:
  kind, dimensions, _, parts = _matrix(body, order)
  stored = _STORED.get(parts[0][0]) if parts else None
  if kind not in _NUMBERS or stored is None or min(dimensions) < 0:
    raise ValueError("no numbers")
  values = np.frombuffer(parts[0][1], np.dtype(order + stored))
  return values.reshape(dimensions, order="F")
