"""Files of named tensors, whatever the names mean: TensorFlow checkpoints, HDF5, safetensors.

Nothing here unpickles or builds a model; a file that would need either is refused.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Callable, Mapping

import h5py
import numpy as np
import tensorflow as tf

from jft_reps.errors import StorageError
from jft_reps.models.pretrained import missing, safetensors

_HDF5 = b"\x89HDF\r\n\x1a\n"
# PyTorch's zip archives, and pickles of protocol 2 to 5.
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
# What TensorFlow and h5py raise on damaged bytes, depending on where they notice.
_UNREADABLE = (tf.errors.OpError, OSError, IndexError, ValueError, UnicodeDecodeError,
               RuntimeError)


@dataclasses.dataclass(frozen=True)
class Tensors:
  """Named tensors of one file.

  Attributes:
    path: where they are.
    kind: `checkpoint`, `hdf5` or `safetensors`.
    shapes: shape by name.
    reader: gives one tensor as NumPy array.
  """

  path: pathlib.Path
  kind: str
  shapes: Mapping[str, tuple[int, ...]]
  reader: Callable[[str], np.ndarray]

  def first(self, pattern: re.Pattern[str], kind: str) -> re.Match[str] | None:
    """The match of the shortest name that starts like `pattern`, in a file of this kind."""
    names = sorted(self.shapes, key=len) if self.kind == kind else ()
    return next(filter(None, map(pattern.match, names)), None)

  def read(self, name: str) -> np.ndarray:
    """One tensor.

    Raises:
      StorageError: its bytes cannot be read; names file and tensor.
    """
    try:
      return np.asarray(self.reader(name))
    except _UNREADABLE as e:
      raise StorageError("weights-damaged", f"{self.path}: {name}", str(e)[:200],
                         "readable bytes", "Fetch the file again.") from e


def open_file(path: pathlib.Path | str) -> Tensors:
  """Opens a weight file by what it starts with, not by its ending.

  Args:
    path: a file, or a TensorFlow checkpoint's path without ending.

  Raises:
    StorageError: there is none, it is damaged, or it is a pickle.
  """
  path = pathlib.Path(path)
  if path.suffix == ".index" or ".data-0" in path.suffix:
    path = path.with_suffix("")
  if pathlib.Path(f"{path}.index").is_file():
    return _checkpoint(path)
  if not path.is_file():
    raise missing.error(path)
  with open(path, "rb") as file:
    start = file.read(8)
  if start == _HDF5:
    return _hdf5(path)
  if start.startswith(_PICKLES):
    raise StorageError("pickle", path, "a pickle or zip archive, which can run code when read",
                       ".safetensors, .h5 or a TensorFlow checkpoint",
                       "Save it with safetensors.torch.save_file(model.state_dict(), ...).")
  if safetensors.looks_like(path):
    found = safetensors.SafetensorsFile(path)
    return Tensors(path, "safetensors", found.shapes, found.read)
  return _checkpoint(path)  # one file: the format of TensorFlow before 0.12, as slim's are


def _checkpoint(path: pathlib.Path) -> Tensors:
  try:
    reader = tf.train.load_checkpoint(str(path))
    shapes = {k: tuple(v) for k, v in sorted(reader.get_variable_to_shape_map().items())}
  except _UNREADABLE as e:
    raise StorageError("weights-damaged", path, str(e)[:200], "a readable weight file",
                       "Known are TensorFlow checkpoints, .h5 and .safetensors.") from e
  return Tensors(path, "checkpoint", shapes, reader.get_tensor)


def _hdf5(path: pathlib.Path) -> Tensors:
  shapes: dict[str, tuple[int, ...]] = {}

  def visit(name: str, found: h5py.Group | h5py.Dataset) -> None:
    # Links are not followed by visititems; data kept in other files is refused here.
    if isinstance(found, h5py.Dataset) and found.shape is not None:
      if found.external or found.is_virtual:
        raise StorageError("weights-elsewhere", f"{path}: {name}", "data in another file",
                           "data in this file")
      shapes[name] = tuple(found.shape)

  def read(name: str) -> np.ndarray:
    with h5py.File(path, "r") as file:
      return file[name][()]

  try:
    with h5py.File(path, "r") as file:
      file.visititems(visit)
  except _UNREADABLE as e:
    raise StorageError("weights-damaged", path, str(e)[:200], "a whole HDF5 file",
                       "Fetch the file again.") from e
  return Tensors(path, "hdf5", shapes, read)
