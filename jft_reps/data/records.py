"""Sharded TFRecord sets: written at once or not at all, checked when opened.

A picture goes to shard floor(hash * shards), where hash in [0, 1) depends on its id
alone, and every shard is sorted by hash: the first n pictures by hash are a prefix of
the shards plus part of one, and subsets of growing size are nested.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import tempfile
from typing import Any

from jft_reps import errors
from jft_reps.data import framing, manifest
from jft_reps.data.manifest import RecordSet, Shard, check, diagnose, load

__all__ = [
    "RecordSet", "Shard", "Writer", "check", "diagnose", "load", "shard_name", "unit_hash",
]

_SPILL = struct.Struct("<dQIQ")  # hash, number of the write, bytes of the id, bytes of the record
_BUFFER = 64 << 20


def unit_hash(picture_id: str) -> float:
  """Stable hash of a picture's id in [0, 1): the leading 53 bits of a 64-bit BLAKE2b."""
  data = picture_id.encode("utf-8", "surrogateescape")
  digest = hashlib.blake2b(data, digest_size=8).digest()
  return (int.from_bytes(digest, "big") >> 11) / 2**53


def shard_name(split: str, index: int, shards: int) -> str:
  """`train-00000-of-00016.tfrecord`."""
  return f"{split}-{index:05d}-of-{shards:05d}.tfrecord"


class Writer:
  """Context manager that turns pictures in any order into a sharded, sorted record set.

  Records wait in one spill file per shard; at the end shards are sorted one after
  another, so memory holds 64 MB of buffers plus the ids of one shard. Final names
  appear only when every shard is written, synced and counted; after an exception
  none is left.

  Args:
    directory: folder of the set, made when absent.
    split: `train`, `validation`, ….
    shards: number of files.
    metadata: free entries for the manifest; may be changed until the end through the
      attribute of the same name.
    overwrite: replace a set of the same split, which is an error otherwise.

  Raises:
    errors.DataError: at the end, when an id was written twice.
    errors.StorageError: at the end, when a shard could not be written in full.
  """

  def __init__(
      self,
      directory: str | os.PathLike,
      split: str,
      shards: int,
      metadata: dict[str, Any] | None = None,
      overwrite: bool = False,
  ):
    if shards < 1:
      raise errors.ConfigError("bad-shards", "shards", str(shards), "at least 1")
    self.directory, self.split, self.shards = os.fspath(directory), split, shards
    self.metadata = dict(metadata or {})
    self.record_set: RecordSet | None = None
    self._manifest = manifest.path_of(directory, split)
    if os.path.exists(self._manifest) and not overwrite:
      raise errors.DataError(
          "split-exists", self._manifest, "a record set of this split is there already",
          fix="Remove it, name another split or directory, or overwrite it explicitly.",
      )
    os.makedirs(self.directory, exist_ok=True)
    self._temporary = tempfile.mkdtemp(prefix=f".{split}.tmp-", dir=self.directory)
    self._buffers: dict[int, list[bytes]] = {}
    self._buffered = self._written = 0

  def __enter__(self) -> Writer:
    return self

  def write(self, picture_id: str, example: bytes) -> None:
    """Adds one serialised example under its id."""
    value = unit_hash(picture_id)
    name = picture_id.encode("utf-8", "surrogateescape")
    buffer = self._buffers.setdefault(int(value * self.shards), [])
    buffer += (_SPILL.pack(value, self._written, len(name), len(example)), name, example)
    self._written += 1
    self._buffered += len(example) + len(name) + _SPILL.size
    if self._buffered > _BUFFER:
      self._spill()

  def __exit__(self, kind, error, trace) -> None:
    try:
      if kind is None:
        self._finish()
    finally:
      shutil.rmtree(self._temporary, ignore_errors=True)

  def _spill_path(self, shard: int) -> str:
    return os.path.join(self._temporary, f"spill-{shard}")

  def _spill(self) -> None:
    for shard, parts in self._buffers.items():
      with open(self._spill_path(shard), "ab") as file:
        file.writelines(parts)
    self._buffers, self._buffered = {}, 0

  def _finish(self) -> None:
    self._spill()
    shards = [self._sorted_shard(i) for i in range(self.shards)]
    done = RecordSet(self.directory, self.split, tuple(shards), self.metadata)
    self._remove()
    try:
      for shard, path in zip(shards, done.paths, strict=True):
        os.replace(os.path.join(self._temporary, shard.file), path)
      _sync(self.directory)
      manifest.write(done)
      _sync(self.directory)
    except BaseException:
      self._remove()
      raise
    self.record_set = done

  def _remove(self) -> None:
    """Removes the split: the manifest first, then the shards, so that no manifest ever lies."""
    shard = re.compile(re.escape(self.split) + r"-\d{5,}-of-\d{5,}\.tfrecord")
    names = sorted(n for n in os.listdir(self.directory) if shard.fullmatch(n))
    for path in [self._manifest, *(os.path.join(self.directory, n) for n in names)]:
      if os.path.exists(path):
        os.remove(path)

  def _index(self, shard: int) -> list[tuple[float, bytes, int, int, int]]:
    """(hash, id, number of the write, offset, bytes) of a spill file, in order of hash."""
    entries = []
    path = self._spill_path(shard)
    size = os.path.getsize(path) if os.path.exists(path) else 0
    if size:
      with open(path, "rb") as file:
        while file.tell() < size:
          value, number, id_bytes, length = _SPILL.unpack(file.read(_SPILL.size))
          entries.append((value, file.read(id_bytes), number, file.tell(), length))
          file.seek(length, os.SEEK_CUR)
    entries.sort()
    for one, two in zip(entries, entries[1:]):
      if one[1] == two[1]:
        raise errors.DataError(
            "duplicate-id", self.directory,
            f"picture id {errors.printable(one[1])!r} was written twice, as pictures "
            f"{one[2]} and {two[2]}", "unique ids", "Remove one or rename it.",
        )
    return entries

  def _sorted_shard(self, shard: int) -> Shard:
    import tensorflow as tf  # noqa: PLC0415, only its writer's checksums are needed

    path = os.path.join(self._temporary, shard_name(self.split, shard, self.shards))
    entries = self._index(shard)
    expected = sum(framing.HEADER + e[4] + framing.FOOTER for e in entries)
    try:
      with tf.io.TFRecordWriter(path) as writer:
        if entries:
          with open(self._spill_path(shard), "rb") as spill:
            for entry in entries:
              spill.seek(entry[3])
              writer.write(spill.read(entry[4]))
          os.remove(self._spill_path(shard))
      _sync(path)
      # A full disk can surface as nothing but a short file, hence the second count.
      done = manifest.describe(path)
    except (tf.errors.OpError, OSError, errors.DataError) as error:
      raise self._not_written(path, errors.printable(error), len(entries)) from error
    if (done.records, done.bytes) != (len(entries), expected):
      raise self._not_written(path, f"{done.records} records on disk", len(entries))
    return done

  def _not_written(self, path: str, found: str, count: int) -> errors.StorageError:
    free = shutil.disk_usage(self.directory).free
    return errors.StorageError(
        "shard-not-written", os.path.basename(path), found, f"{count} records",
        f"{free / 1e6:.0f} MB are free in {self.directory}; make room and build again.",
    )


def _sync(path: str) -> None:
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
