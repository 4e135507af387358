"""Finished shards: written, counted again, and given their names together with their manifest."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
from collections.abc import Iterable

from jft_reps import errors
from jft_reps.data.records import framing, manifest


def shard_name(split: str, index: int, shards: int) -> str:
  """`train-00000-of-00016.tfrecord`."""
  return f"{split}-{index:05d}-of-{shards:05d}.tfrecord"


def write(path: str, examples: Iterable[bytes]) -> manifest.Shard:
  """Writes a shard, reads it back and gives it its name.

  A full disk can surface as nothing but a short file.

  Args:
    path: of the file.
    examples: serialised, in order; their own errors pass through.

  Raises:
    errors.StorageError: it could not be written in full.
  """
  count = size = 0
  temporary = f"{path}.tmp-{os.getpid()}"
  try:
    file = open(temporary, "wb")
  except OSError as error:
    raise _not_written(path, errors.printable(error), count) from error
  try:
    for example in examples:
      try:
        file.write(framing.framed(example))
      except OSError as error:
        raise _not_written(path, errors.printable(error), count) from error
      count, size = count + 1, size + framing.HEADER + len(example) + framing.FOOTER
  finally:
    with contextlib.suppress(OSError):  # of a full disk; what is missing shows below
      file.close()
  try:
    sync(temporary)
    done = dataclasses.replace(manifest.describe(temporary), file=os.path.basename(path))
  except (OSError, errors.DataError) as error:
    raise _not_written(path, errors.printable(error), count) from error
  if (done.records, done.bytes) != (count, size):
    raise _not_written(path, f"{done.records} records on disk", count)
  os.replace(temporary, path)
  return done


def _not_written(path: str, found: str, count: int) -> errors.StorageError:
  directory = os.path.dirname(path)
  free = shutil.disk_usage(directory).free
  return errors.StorageError(
      "shard-not-written", os.path.basename(path), found, f"{count} records",
      f"{free / 1e6:.0f} MB are free in {directory}; make room and build again.")


def remove(directory: str, split: str, kept: Iterable[str] = ()) -> None:
  """Removes a split, the manifest first, so that none ever lies; files of `kept` names stay."""
  shard, kept = re.compile(re.escape(split) + r"-\d{5,}-of-\d{5,}\.tfrecord"), frozenset(kept)
  names = sorted(n for n in os.listdir(directory) if shard.fullmatch(n) and n not in kept)
  for path in [manifest.path_of(directory, split), *(os.path.join(directory, n) for n in names)]:
    if os.path.exists(path):
      os.remove(path)


def publish(folder: str, record_set: manifest.RecordSet) -> None:
  """Moves finished shards to their set and writes its manifest; may be repeated after a kill.

  Args:
    folder: where the shards are; those that are there no more have been moved before.
    record_set: what is to be; an older set of the split goes.
  """
  names = [shard.file for shard in record_set.shards]
  remove(record_set.directory, record_set.split, kept=names)
  for name in names:
    path = os.path.join(folder, name)
    if os.path.exists(path):
      os.replace(path, os.path.join(record_set.directory, name))
  sync(record_set.directory)
  manifest.check(record_set)
  manifest.write(record_set)
  sync(record_set.directory)


def sync(path: str) -> None:
  """Waits until a file or folder is on disk."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
