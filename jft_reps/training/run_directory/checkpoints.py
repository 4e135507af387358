"""Checkpoints that count only when they were read back: named tensors, committed by a marker.

A checkpoint `ckpt-N` is a TensorFlow bundle (`ckpt-N.index`, `ckpt-N.data-…`) of tensors under
plain names (`backbone/conv1/conv/kernel`), and `ckpt-N.ok`, written last, after every tensor was
read back and found finite. Without its marker a checkpoint does not exist. The shards of a
classifier are saved as slices of one tensor, so a checkpoint reads as one `[2048, 18291]` kernel
and restores with any number of shards and servers. `tf.train.load_checkpoint` opens it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps import whole_files
from jft_reps.errors import StorageError
from jft_reps.models.variables import Slices

_MARKER = re.compile(r"ckpt-(\d+)\.ok$")
_IO_ERRORS = (tf.errors.OpError, OSError, IndexError, ValueError, UnicodeDecodeError)


@dataclasses.dataclass(frozen=True)
class Part:
  """One variable, or one slice of a larger tensor, under its name in the checkpoint."""

  name: str
  variable: Any
  full_shape: tuple[int, ...]
  spec: str  # "" or TensorFlow's "full shape, offset,length per axis"


def parts(items: Mapping[str, Any]) -> Iterator[Part]:
  """Splits checkpoint items into what is stored: variables, or slices with their offsets."""
  for name, item in items.items():
    if not isinstance(item, Slices):
      yield Part(name, item, tuple(item.shape), "")
      continue
    offset = 0
    for variable in item.parts:
      shape = tuple(variable.shape)
      at = [f"{offset},{n}" if axis == item.axis else f"0,{n}" for axis, n in enumerate(shape)]
      full = " ".join(str(n) for n in item.full_shape)
      yield Part(name, variable, tuple(item.full_shape), f"{full} {':'.join(at)}")
      offset += shape[item.axis]


def prefix(directory: pathlib.Path, step: int) -> pathlib.Path:
  """The path of the checkpoint of a step, without endings."""
  return pathlib.Path(directory) / f"ckpt-{step}"


def step_of(path: pathlib.Path | str) -> int:
  """The step in the name of a checkpoint; 0 of another name."""
  number = pathlib.Path(path).name.rpartition("-")[2]
  return int(number) if number.isdecimal() and number.isascii() else 0


def committed(directory: pathlib.Path) -> list[int]:
  """Steps with a committed checkpoint, ascending."""
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    return []
  return sorted(int(m[1]) for m in map(_MARKER.match, os.listdir(directory)) if m)


def save(directory: pathlib.Path, step: int, items: Mapping[str, Any],
         about: Mapping[str, Any] | None = None) -> None:
  """Writes, reads back and commits a checkpoint; on failure none of it counts.

  Args:
    directory: the run directory.
    step: the global step, its number; saving one again is refused.
    items: variables, `Slices` or tensors by name.
    about: goes into the marker (versions, run id).

  Raises:
    StorageError: the disk is full, or a tensor is not finite.
  """
  directory = pathlib.Path(directory)
  if step in committed(directory):
    raise StorageError("checkpoint-exists", prefix(directory, step), "already committed",
                       "a new step", "Checkpoints are never overwritten.")
  temporary = directory / f".ckpt-{step}.tmp-{os.getpid()}"
  stored = list(parts(items))
  # Read first: a server that is gone is not a matter of storage.
  tensors = [tf.convert_to_tensor(p.variable) for p in stored]
  try:
    temporary.mkdir(parents=True)
    tf.raw_ops.SaveV2(
        prefix=str(temporary / f"ckpt-{step}"),
        tensor_names=[p.name for p in stored],
        shape_and_slices=[p.spec for p in stored],
        tensors=tensors,
    )
    _check_finite(temporary / f"ckpt-{step}")
    files = {f.name: f.stat().st_size for f in sorted(temporary.iterdir())}
    for name in files:
      _sync(temporary / name)
      os.replace(temporary / name, directory / name)
    _write_marker(directory, step, {"step": step, "files": files, **(about or {})})
  except _IO_ERRORS as e:
    raise StorageError("checkpoint-not-written", prefix(directory, step), str(e)[:200],
                       "room to write", _room(directory)) from e
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def _write_marker(directory: pathlib.Path, step: int, marker: Mapping) -> None:
  whole_files.write(directory / f"ckpt-{step}.ok", json.dumps(marker, indent=1))
  _sync(directory)


def _sync(path: pathlib.Path) -> None:
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def _room(directory: pathlib.Path) -> str:
  return f"{shutil.disk_usage(directory).free / 2**20:.0f} MiB are free in {directory}."


def _check_finite(path: pathlib.Path) -> None:
  reader = tf.train.load_checkpoint(str(path))
  for name in sorted(reader.get_variable_to_shape_map()):
    value = reader.get_tensor(name)
    if np.asarray(value).dtype.kind == "f" and not np.isfinite(value).all():
      raise StorageError("checkpoint-not-finite", f"{path.name}: {name}",
                         f"{int((~np.isfinite(value)).sum())} values are not finite",
                         "finite weights", "The checkpoint was not committed.")


def verify(directory: pathlib.Path, step: int) -> None:
  """Raises StorageError if a file of a committed checkpoint is missing or has another size."""
  marker = pathlib.Path(directory) / f"ckpt-{step}.ok"
  try:
    files = json.loads(marker.read_text())["files"]
  except (OSError, ValueError, KeyError, TypeError) as e:
    raise StorageError("checkpoint-damaged", marker, f"unreadable marker ({e})") from e
  for name, size in files.items():
    path = marker.parent / pathlib.Path(name).name
    found = path.stat().st_size if path.is_file() else None
    if found != size:
      raise StorageError("checkpoint-damaged", path,
                         "missing" if found is None else f"{found} bytes", f"{size} bytes",
                         "Restore the file, or delete the marker to fall back to an older one.")


def shapes(path: pathlib.Path | str) -> dict[str, tuple[int, ...]]:
  """Names and full shapes of a checkpoint's tensors, by its path without ending."""
  try:
    reader = tf.train.load_checkpoint(str(path))
    return {k: tuple(v) for k, v in sorted(reader.get_variable_to_shape_map().items())}
  except _IO_ERRORS as e:
    raise StorageError("checkpoint-damaged", path, str(e)[:200], "a readable checkpoint") from e


def read(path: pathlib.Path | str, names: Sequence[str]) -> dict[str, np.ndarray]:
  """Whole tensors of a checkpoint by name, as NumPy arrays (bytes for strings)."""
  try:
    reader = tf.train.load_checkpoint(str(path))
    return {name: reader.get_tensor(name) for name in names}
  except _IO_ERRORS as e:
    raise StorageError("checkpoint-damaged", path, str(e)[:200], "a readable checkpoint") from e


def restore(path: pathlib.Path | str, items: Mapping[str, Any],
            only_in_checkpoint: str = "") -> None:
  """Assigns every item from a checkpoint, after checking all names and shapes of both sides.

  Args:
    path: the checkpoint without ending.
    items: variables or `Slices` by name; each must be there with its full shape.
    only_in_checkpoint: regular expression of names that the checkpoint may have and `items` not.

  Raises:
    StorageError: names both unmatched sides; nothing was assigned.
  """
  wanted = {p.name: p.full_shape for p in parts(items)}
  found = shapes(path)
  problems = [
      f"{n}: checkpoint {found.get(n, 'nothing')}, model {shape}"
      for n, shape in wanted.items()
      if found.get(n) != shape
  ]
  extra = [n for n in found if n not in wanted and not re.fullmatch(only_in_checkpoint, n)]
  if problems or extra:
    raise StorageError(
        "checkpoint-mismatch", path,
        f"{len(problems)} of {len(wanted)} tensors missing or of another shape "
        f"({'; '.join(problems[:5]) or 'none'}), {len(extra)} in the checkpoint only "
        f"({', '.join(extra[:5]) or 'none'})", "the same tensors", "Nothing was restored.")
  for part in parts(items):
    _assign(path, part)


def _assign(path: pathlib.Path | str, part: Part) -> None:
  try:
    (value,) = tf.raw_ops.RestoreV2(
        prefix=str(path), tensor_names=[part.name], shape_and_slices=[part.spec],
        dtypes=[part.variable.dtype])
  except _IO_ERRORS as e:
    raise StorageError("checkpoint-damaged", f"{path}: {part.name}", str(e)[:200]) from e
  part.variable.assign(value)


def milestones(steps: Sequence[int], wanted: Iterable[int]) -> set[int]:
  """Of each wanted step the first committed one at or after it: workers may overshoot a little."""
  return {min(s for s in steps if s >= m) for m in wanted if steps and m <= max(steps)}


def clean_up(directory: pathlib.Path, keep: int, pinned: Collection[int] = ()) -> list[int]:
  """Deletes all but the newest `keep` and the pinned steps, markers first; returns them."""
  gone = [s for s in committed(directory)[: -keep or None] if s not in pinned]
  for step in gone:
    (pathlib.Path(directory) / f"ckpt-{step}.ok").unlink(missing_ok=True)
    for path in pathlib.Path(directory).glob(f"ckpt-{step}.*"):
      path.unlink(missing_ok=True)
  return gone


def remove_leftovers(directory: pathlib.Path) -> None:
  """Removes what killed saves left: temporary folders and files of our own pattern."""
  for path in pathlib.Path(directory).glob(".ckpt-*.tmp-*"):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
  done = set(committed(directory))
  for path in pathlib.Path(directory).glob("ckpt-*.*"):
    match = re.match(r"ckpt-(\d+)\.(index|data-.*)$", path.name)
    if match and int(match[1]) not in done:
      path.unlink(missing_ok=True)
