"""Reads `.safetensors`, which hold numbers only, so that unlike a pickle they cannot run code."""

from __future__ import annotations

import pathlib

import ml_dtypes  # noqa: F401 - gives NumPy the bfloat16 that the library asks it for
import numpy as np
from safetensors import SafetensorError, safe_open

from jft_reps.errors import StorageError, printable

_TYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL")


class SafetensorsFile:
  """The tensors of one file.

  Args:
    path: the file.

  Attributes:
    shapes: shape of each tensor, by name.

  Raises:
    StorageError: the file is cut, its header is not what the format says, or a type is unknown.
  """

  def __init__(self, path: pathlib.Path | str):
    self._path = path
    try:
      with safe_open(path, framework="np") as file:
        # In the file's order, which is the network's: the first name an error lists is its start.
        parts = {name: file.get_slice(name) for name in file.offset_keys()}
        types = {name: part.get_dtype() for name, part in parts.items()}
        self.shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
    except SafetensorError as error:
      raise _damaged(path, _found(str(error))) from error
    for name, kind in types.items():
      if kind not in _TYPES:
        raise _damaged(f"{path}: {printable(name)}", f"type {printable(kind)}")

  def read(self, name: str) -> np.ndarray:
    """One tensor; bfloat16 as float32."""
    with safe_open(self._path, framework="np") as file:
      values = file.get_tensor(name)
    return values.astype(np.float32) if values.dtype.name == "bfloat16" else values


def looks_like(path: pathlib.Path) -> bool:
  """Whether a file starts like one: eight bytes of length, then `{`."""
  with open(path, "rb") as file:
    start = file.read(9)
  return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 1 << 40


def _found(said: str) -> str:
  """What the library says of a header, in words that fit a whole error."""
  if "not fully covered" in said:
    return "tensors that do not end where the file does: the file is cut, or has more"
  return printable(said.removeprefix("Error while deserializing header: "))[:200]


def _damaged(where: pathlib.Path | str, found: str) -> StorageError:
  return StorageError("weights-damaged", where, found, "a whole .safetensors file",
                      "Fetch the file again.")
