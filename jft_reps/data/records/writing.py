"""Sharded TFRecord sets: written at once or not at all, checked when opened.

Shards are ranges of the hash of the pictures' ids and sorted by it: the first n pictures by hash
are a prefix of the shards plus part of one, and subsets of growing size are nested.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from jft_reps import errors
from jft_reps.data.records import manifest, shard_files, spills
from jft_reps.data.records.manifest import RecordSet, Shard, check, diagnose, load
from jft_reps.data.records.shard_files import shard_name
from jft_reps.data.records.spills import unit_hash

__all__ = [
    "RecordSet", "Shard", "Writer", "check", "check_absent", "diagnose", "load", "shard_name",
    "unit_hash",
]


def check_absent(directory: str | os.PathLike, split: str, overwrite: bool) -> None:
  """Refuses a split that is there, unless it is to be replaced.

  Raises:
    errors.DataError: it is there.
  """
  path = manifest.path_of(directory, split)
  if os.path.exists(path) and not overwrite:
    raise errors.DataError(
        "split-exists", path, "a record set of this split is there already",
        fix="Remove it, name another split or directory, or overwrite it explicitly.")


class Writer:
  """Context manager that turns pictures in any order into a sharded, sorted record set.

  Records wait in one spill file per shard; at the end shards are sorted one after another, so
  memory holds a few megabytes of buffers plus the ids of one shard. Final names appear only when
  every shard is written, synced and counted; after an exception none is left.

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
    check_absent(directory, split, overwrite)
    os.makedirs(self.directory, exist_ok=True)
    self._temporary = tempfile.mkdtemp(prefix=f".{split}.tmp-", dir=self.directory)
    self._spills = spills.Spills(self._temporary, shards)

  def __enter__(self) -> Writer:
    return self

  def write(self, picture_id: str, example: bytes) -> None:
    """Adds one serialised example under its id."""
    self._spills.add(picture_id, example)

  def __exit__(self, kind, error, trace) -> None:
    try:
      if kind is None:
        self._finish()
    finally:
      shutil.rmtree(self._temporary, ignore_errors=True)

  def _finish(self) -> None:
    self._spills.flush()
    shards = [self._sorted_shard(i) for i in range(self.shards)]
    done = RecordSet(self.directory, self.split, tuple(shards), self.metadata)
    shard_files.publish(self._temporary, done)
    self.record_set = done

  def _sorted_shard(self, shard: int) -> Shard:
    spill = spills.path_of(self._temporary, shard)
    examples = spills.values(spill, spills.entries(spill, self.directory))
    name = shard_name(self.split, shard, self.shards)
    done = shard_files.write(os.path.join(self._temporary, name), examples)
    if os.path.exists(spill):
      os.remove(spill)
    return done
