"""A file of a record set: what the manifest says of it, and the check of the file against that."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from jft_reps import errors, whole_files
from jft_reps.data.records import framing

_LEAST = framing.HEADER + framing.FOOTER  # bytes of a record


@dataclasses.dataclass(frozen=True)
class Shard:
  """The manifest's entry of a file.

  Attributes:
    file: its name.
    records: in the whole file, like the size and the checksum.
    bytes: its size.
    sha256: its checksum.
    use: leading records that the set uses; by default all.
    pictures: those of them that belong to the set; by default all.
  """

  file: str
  records: int
  bytes: int
  sha256: str
  use: int = -1
  pictures: int = -1

  def __post_init__(self):
    object.__setattr__(self, "use", self.records if self.use == -1 else self.use)
    object.__setattr__(self, "pictures", self.use if self.pictures == -1 else self.pictures)

  def to_json(self) -> dict[str, Any]:
    """Its entry in a manifest, without `use` and `pictures` where they say nothing."""
    entry = dataclasses.asdict(self)
    if self.pictures == self.use:
      del entry["pictures"]
    if self.use == self.records:
      del entry["use"]
    return entry

  @classmethod
  def from_json(cls, entry: dict[str, Any]) -> Shard:
    """Of an entry in a manifest; raises ValueError, KeyError or TypeError if it cannot be one."""
    records = int(entry["records"])
    use = int(entry.get("use", records))
    pictures = int(entry.get("pictures", use))
    found = cls(str(entry["file"]), records, int(entry["bytes"]), str(entry["sha256"]), use,
                pictures)
    plain = found.file == os.path.basename(found.file)
    if not plain or not 0 <= pictures <= use <= records or records * _LEAST > found.bytes:
      raise ValueError(f"shard {entry}")
    return found


def describe(path: str) -> Shard:
  """Walks and hashes a finished shard; the values that its manifest line holds."""
  count = sum(1 for _ in framing.walk(path))
  return Shard(os.path.basename(path), count, os.path.getsize(path), whole_files.sha256(path))


def check(path: str, shard: Shard, full: bool = False) -> None:
  """Holds a file against what the manifest says of the whole of it.

  Args:
    path: of a file that is there.
    shard: its entry.
    full: walk the framing of every record and verify the checksum, instead of size and first
      header.

  Raises:
    errors.DataError: names the file, what was found and what was expected.
  """
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
  if full and whole_files.sha256(path) != shard.sha256:
    damage = framing.damaged_record(path)
    found = "checksum of the file differs, every record is whole"
    if damage is not None:
      number, offset = damage
      found = f"record {number} @ byte {offset} fails its checksum"
      found += f", {shard.records - number - 1} records follow it"
    raise errors.DataError("corrupt-record", path, found, expected, again)
