"""Reads `.safetensors`: a JSON header of names, types, shapes and offsets, then the bytes.

The format (https://github.com/huggingface/safetensors) holds numbers only, so unlike a pickle it
cannot run code. Every offset is checked against the file before anything is read.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jft_reps.errors import StorageError, printable

_LARGEST_HEADER = 100 << 20
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
          "I8": "|i1", "U8": "|u1", "BOOL": "|b1", "BF16": "<u2"}


class SafetensorsFile:
  """The tensors of one file.

  Args:
    path: the file.

  Attributes:
    shapes: shape of each tensor, by name.

  Raises:
    StorageError: the file is cut, or its header is not what the format says.
  """

  def __init__(self, path: pathlib.Path | str):
    self._path = pathlib.Path(path)
    self._header, self._start = _read_header(self._path)
    self.shapes = {name: tuple(entry["shape"]) for name, entry in self._header.items()}

  def read(self, name: str) -> np.ndarray:
    """One tensor; bfloat16 as float32."""
    entry = self._header[name]
    begin, end = entry["data_offsets"]
    with open(self._path, "rb") as file:
      file.seek(self._start + begin)
      data = file.read(end - begin)
    values = np.frombuffer(data, _TYPES[entry["dtype"]]).reshape(entry["shape"])
    if entry["dtype"] == "BF16":
      values = (values.astype(np.uint32) << 16).view(np.float32)
    return values


def looks_like(path: pathlib.Path) -> bool:
  """Whether a file starts like one: eight bytes of length, then `{`."""
  with open(path, "rb") as file:
    start = file.read(9)
  return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 1 << 40


def _read_header(path: pathlib.Path) -> tuple[dict[str, Any], int]:
  size = os.path.getsize(path)
  with open(path, "rb") as file:
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(_LARGEST_HEADER, size - 8):
      raise _damaged(path, f"a header of {length} bytes in a file of {size}")
    try:
      header = json.loads(file.read(length))
    except (ValueError, RecursionError) as e:
      raise _damaged(path, f"a header that is not JSON ({str(e)[:80]})") from e
  if not isinstance(header, dict):
    raise _damaged(path, "a header that is no object")
  header.pop("__metadata__", None)
  for name, entry in header.items():
    _check_entry(path, name, entry, size - 8 - length)
  return header, 8 + length


def _check_entry(path: pathlib.Path, name: str, entry: Any, available: int) -> None:
  where = f"{path}: {printable(name)}"
  try:
    kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    whole = all(isinstance(n, int) and n >= 0 for n in (*shape, begin, end))
  except (TypeError, KeyError, ValueError) as e:
    raise _damaged(where, "an entry without dtype, shape or data_offsets") from e
  if kind not in _TYPES:
    raise _damaged(where, f"type {printable(str(kind))}")
  wanted = math.prod(shape) * np.dtype(_TYPES[kind]).itemsize if whole else -1
  if wanted != end - begin:
    raise _damaged(where, f"{end - begin} bytes for shape {shape}")
  if end > available:
    raise _damaged(where, f"bytes {begin} to {end} of {available}: the file is cut")


def _damaged(where: Mapping | pathlib.Path | str, found: str) -> StorageError:
  return StorageError("weights-damaged", where, found, "a whole .safetensors file",
                      "Fetch the file again.")
