"""The manifest of a record set, and the check of its shards against it.

`manifest-<split>.json` holds records, bytes and a checksum per shard. TensorFlow alone
reads a shard that was cut inside a header, or is empty, as a good short one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from typing import Any

from jft_reps import errors
from jft_reps.data import framing

VERSION = 1
HASH = "blake2b-64"
_SPLIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def path_of(directory: str | os.PathLike, split: str) -> str:
  """Path of the manifest of a split; refuses split names that are not plain words."""
  if not _SPLIT.fullmatch(split):
    raise errors.ConfigError(
        "bad-split", "split", errors.printable(split), "letters, digits, '_', '-', '.'"
    )
  return os.path.join(os.fspath(directory), f"manifest-{split}.json")


@dataclasses.dataclass(frozen=True)
class Shard:
  """One file of a record set: name inside the directory, and what the manifest says of it."""

  file: str
  records: int
  bytes: int
  sha256: str


@dataclasses.dataclass(frozen=True)
class RecordSet:
  """A checked set of shards.

  Attributes:
    directory: folder of the shards.
    split: `train`, `validation`, ….
    shards: in order of their hash ranges.
    metadata: free entries of the manifest (`labels`, `store_size`, `exif`, `dropped`, …).
  """

  directory: str
  split: str
  shards: tuple[Shard, ...]
  metadata: dict[str, Any]

  @property
  def paths(self) -> list[str]:
    """Absolute or relative path of every shard, in order."""
    return [os.path.join(self.directory, shard.file) for shard in self.shards]

  @property
  def records(self) -> int:
    """Pictures in the whole set."""
    return sum(shard.records for shard in self.shards)


def _sha256(path: str) -> str:
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    while block := file.read(1 << 20):
      digest.update(block)
  return digest.hexdigest()


def describe(path: str) -> Shard:
  """Walks and hashes a finished shard; the values that its manifest line holds."""
  count = sum(1 for _ in framing.walk(path))
  return Shard(os.path.basename(path), count, os.path.getsize(path), _sha256(path))


def write(record_set: RecordSet) -> str:
  """Writes the manifest by a temporary file and a rename; returns its path."""
  path = path_of(record_set.directory, record_set.split)
  content = {
      "version": VERSION,
      "split": record_set.split,
      "records": record_set.records,
      "hash": HASH,
      "shards": [dataclasses.asdict(shard) for shard in record_set.shards],
      "metadata": record_set.metadata,
  }
  temporary = f"{path}.tmp-{os.getpid()}"
  with open(temporary, "w", encoding="utf-8") as file:
    json.dump(content, file, indent=1, allow_nan=False)
    file.write("\n")
    file.flush()
    os.fsync(file.fileno())
  os.replace(temporary, path)
  return path


def _read(directory: str, split: str) -> RecordSet:
  path = path_of(directory, split)
  try:
    with open(path, encoding="utf-8") as file:
      content = json.load(file)
  except FileNotFoundError:
    raise _no_manifest(directory, split) from None
  except (ValueError, OSError) as error:
    found = errors.printable(error)
    raise errors.DataError(
        "bad-manifest", path, found, "a JSON manifest", "Build the records again."
    ) from None
  try:
    if content["version"] != VERSION:
      raise ValueError(f"version {content['version']}")
    if content["split"] != split:
      raise ValueError(f"split {content['split']!r}")
    shards = tuple(
        Shard(str(s["file"]), int(s["records"]), int(s["bytes"]), str(s["sha256"]))
        for s in content["shards"]
    )
    bad = [s.file for s in shards if s.file != os.path.basename(s.file) or s.records < 0]
    if bad or not shards:
      raise ValueError(f"shards {bad[:5]}")
    if content["records"] != sum(s.records for s in shards):
      raise ValueError(f"{content['records']} records, its shards have other ones")
    return RecordSet(directory, split, shards, dict(content.get("metadata", {})))
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise errors.DataError(
        "bad-manifest",
        path,
        errors.printable(error),
        f"a manifest of version {VERSION} for split {split}",
        "Build the records again.",
    ) from None


def _no_manifest(directory: str, split: str) -> errors.DataError:
  names = os.listdir(directory) if os.path.isdir(directory) else []
  splits = sorted(n[9:-5] for n in names if n.startswith("manifest-") and n.endswith(".json"))
  found = f"no manifest-{split}.json (looked in {directory}, {len(names)} files there"
  found += f", splits: {', '.join(splits[:5])})" if splits else ")"
  fix = "Name an existing split." if splits else (
      "Build them with build_records; a configuration names them by --config.task.records=FOLDER.")
  return errors.DataError("no-manifest", directory, found, "a record set", fix)


def _check_shard(path: str, shard: Shard, full: bool) -> None:
  expected = f"{shard.records} records in {shard.bytes} bytes (manifest)"
  again = "Copy or build the shard again."
  size = os.path.getsize(path)
  if size == 0 and shard.records > 0:
    raise errors.DataError("empty-file", path, "empty shard", expected, again)
  if size != shard.bytes or full:
    count = sum(1 for _ in framing.walk(path, expected))
    if size != shard.bytes or count != shard.records:
      found = f"{count} records in {size} bytes"
      raise errors.DataError("manifest-mismatch", path, found, expected, again)
  elif shard.records:
    next(framing.walk(path, expected))
  if full and _sha256(path) != shard.sha256:
    damage = framing.damaged_record(path)
    found = "checksum of the file differs, every record is whole"
    if damage is not None:
      number, offset = damage
      found = f"record {number} @ byte {offset} fails its checksum"
      found += f", {shard.records - number - 1} records follow it"
    raise errors.DataError("corrupt-record", path, found, expected, again)


def check(record_set: RecordSet, full: bool = False) -> None:
  """Holds the files against the manifest.

  Args:
    record_set: what `load` returned.
    full: walk the framing of every record and verify the checksum of every file,
      instead of presence, size and the first header.

  Raises:
    errors.DataError: names the file, what was found and what was expected.
  """
  paths = record_set.paths
  missing = [os.path.basename(p) for p in paths if not os.path.isfile(p)]
  if missing:
    found = f"{len(missing)} of {len(paths)} shards missing: {', '.join(missing[:5])}"
    found += ", …" if len(missing) > 5 else ""
    raise errors.DataError(
        "missing-shards", record_set.directory, found, "every shard of the manifest",
        "Copy the missing shards or build the records again.",
    )
  for path, shard in zip(paths, record_set.shards, strict=True):
    _check_shard(path, shard, full)


def diagnose(record_set: RecordSet) -> errors.DataError | None:
  """Names file, record and byte after the reader failed: its own errors often do not.

  Args:
    record_set: the set that was being read.

  Returns:
    What a full check finds, or None.
  """
  try:
    check(record_set, full=True)
  except errors.DataError as error:
    return error
  return None


def load(directory: str | os.PathLike, split: str, full: bool = False) -> RecordSet:
  """Opens a record set and checks it against its manifest.

  Args:
    directory: folder with `manifest-<split>.json` and its shards.
    split: name of the split.
    full: see `check`; reads every byte.

  Returns:
    The checked set.

  Raises:
    errors.DataError: a shard is missing, empty, cut, compressed or not a TFRecord.
  """
  record_set = _read(os.fspath(directory), split)
  check(record_set, full)
  return record_set
