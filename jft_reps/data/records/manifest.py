"""The manifest of a record set, and the check of its shards against it.

`manifest-<split>.json` holds records, bytes and a checksum per shard. TensorFlow alone
reads a shard that was cut inside a header, or is empty, as a good short one.

A subset is a manifest of its own on the shards of its set: it says how many leading records
of each it uses and, where it leaves some of these out, has an index (`bit_index.py`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from typing import Any

from jft_reps import errors, whole_files
from jft_reps.data.records import shard as shard_lib
from jft_reps.data.records.bit_index import BitIndex
from jft_reps.data.records.shard import Shard, describe

__all__ = ["RecordSet", "Shard", "check", "check_subset", "describe", "diagnose", "fingerprint",
           "load", "outdated", "path_of", "read", "write"]

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
class RecordSet:
  """A checked set of shards.

  Attributes:
    directory: folder of the shards.
    split: `train`, `validation`, ….
    shards: in order of their hash ranges.
    metadata: free entries of the manifest (`labels`, `store_size`, `exif`, `dropped`, …); of a
      subset also `subset`, see `subsets.py`.
    index: file that says which of the used records belong to a subset; None: all do.
    index_sha256: its checksum.
  """

  directory: str
  split: str
  shards: tuple[Shard, ...]
  metadata: dict[str, Any]
  index: str | None = None
  index_sha256: str = ""

  @property
  def paths(self) -> list[str]:
    """Absolute or relative path of every shard, in order."""
    return [os.path.join(self.directory, shard.file) for shard in self.shards]

  @property
  def records(self) -> int:
    """Pictures of the set."""
    return sum(shard.pictures for shard in self.shards)

  @property
  def bit_index(self) -> BitIndex | None:
    """Which of the used records belong to the set; None: all do."""
    if self.index is None:
      return None
    return BitIndex(os.path.join(self.directory, self.index), tuple(s.use for s in self.shards))


def write(record_set: RecordSet) -> str:
  """Writes the manifest by a temporary file and a rename; returns its path."""
  path = path_of(record_set.directory, record_set.split)
  content = {
      "version": VERSION,
      "split": record_set.split,
      "records": record_set.records,
      "hash": HASH,
      "shards": [shard.to_json() for shard in record_set.shards],
      "metadata": record_set.metadata,
  }
  if record_set.index is not None:
    content["index"] = {"file": record_set.index, "sha256": record_set.index_sha256}
  whole_files.write(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
  return path


def read(directory: str | os.PathLike, split: str) -> RecordSet:
  """Reads a manifest without a look at the shards.

  Raises:
    errors.DataError: there is none, or it is damaged.
  """
  directory = os.fspath(directory)
  path = path_of(directory, split)
  try:
    with open(path, encoding="utf-8") as file:
      content = json.load(file)
  except FileNotFoundError:
    raise _no_manifest(directory, split) from None
  except (ValueError, OSError, RecursionError) as error:
    raise errors.DataError("bad-manifest", path, errors.printable(error), "a JSON manifest",
                           "Build the records again.") from None
  try:
    return _record_set(directory, split, content)
  except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
    expected = f"a manifest of version {VERSION} for split {split}"
    raise errors.DataError(
        "bad-manifest", path, errors.printable(error), expected, "Build the records again."
    ) from None


def _record_set(directory: str, split: str, content: dict[str, Any]) -> RecordSet:
  """The set of a manifest's content; raises what Python raises where it cannot be one."""
  if content["version"] != VERSION:
    raise ValueError(f"version {content['version']}")
  if content["split"] != split:
    raise ValueError(f"split {content['split']!r}")
  shards = tuple(Shard.from_json(entry) for entry in content["shards"])
  if not shards:
    raise ValueError("no shards")
  index = content.get("index")
  file, digest = (None, "") if index is None else (str(index["file"]), str(index["sha256"]))
  if file is not None and not _SPLIT.fullmatch(file):
    raise ValueError(f"index {file!r}")
  if file is None and any(s.pictures != s.use for s in shards):
    raise ValueError("pictures of some records, and no index")
  metadata = dict(content.get("metadata", {}))
  if "subset" in metadata:
    _check_note(dict(metadata["subset"]))
  found = RecordSet(directory, split, shards, metadata, file, digest)
  if content["records"] != found.records:
    raise ValueError(f"{content['records']} records, its shards have other ones")
  return found


def _check_note(note: dict[str, Any]) -> None:
  """Refuses what a subset's manifest cannot say of it."""
  for key in ("of", "base"):
    if not _SPLIT.fullmatch(note[key]):
      raise ValueError(f"subset of {note[key]!r}")
  if not 0 < note["below"] <= 1:
    raise ValueError(f"subset of hashes below {note['below']}")


def _no_manifest(directory: str, split: str) -> errors.DataError:
  names = os.listdir(directory) if os.path.isdir(directory) else []
  splits = sorted(n[9:-5] for n in names if n.startswith("manifest-") and n.endswith(".json"))
  found = f"no manifest-{split}.json (looked in {directory}, {len(names)} files there"
  found += f", splits: {', '.join(splits[:5])})" if splits else ")"
  fix = "Name an existing split." if splits else (
      "Build them with build_records; a configuration names them by --config.task.records=FOLDER.")
  return errors.DataError("no-manifest", directory, found, "a record set", fix)


def check(record_set: RecordSet, full: bool = False) -> None:
  """Holds the files against the manifest, and a subset against the set whose shards it reads.

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
  check_subset(record_set)
  for path, shard in zip(paths, record_set.shards, strict=True):
    shard_lib.check(path, shard, full)


def check_subset(record_set: RecordSet) -> None:
  """Holds a subset against its index and the set whose shards it reads, without a look at these.

  Raises:
    errors.DataError: the index is another one, or the shards were built again since.
  """
  if (index := record_set.bit_index) is not None:
    index.check(record_set.index_sha256, [s.pictures for s in record_set.shards])
  note = record_set.metadata.get("subset")
  if note is None or not os.path.exists(path_of(record_set.directory, note["base"])):
    return  # no subset, or a copy of its own shards only
  base = read(record_set.directory, note["base"])
  files = {shard.file: dataclasses.replace(shard, use=-1, pictures=-1) for shard in base.shards}
  for shard in record_set.shards:
    if files.get(shard.file) != dataclasses.replace(shard, use=-1, pictures=-1):
      path, found = path_of(record_set.directory, record_set.split), f"{shard.file} is another file"
      expected = f"the shards of {base.split} that this subset was made of"
      raise errors.DataError("subset-of-another", path, found, expected, "Make it again.")


def fingerprint(record_set: RecordSet) -> str:
  """A checksum of which pictures a set holds."""
  shards = [shard.to_json() for shard in record_set.shards]
  return hashlib.sha256(json.dumps([shards, record_set.index_sha256]).encode()).hexdigest()


def outdated(record_set: RecordSet) -> str | None:
  """The set that a subset was made of, if another one has its name by now.

  Such a subset is as good as it was, but need not lie in that set.

  Raises:
    errors.DataError: the manifest of that set is damaged.
  """
  note = record_set.metadata.get("subset", {})
  if "of_sha256" not in note or not os.path.exists(path_of(record_set.directory, note["of"])):
    return None
  differs = fingerprint(read(record_set.directory, note["of"])) != note["of_sha256"]
  return note["of"] if differs else None


def diagnose(record_set: RecordSet) -> errors.DataError | None:
  """What a full check finds after the reader failed, whose own errors often name no record."""
  try:
    check(record_set, full=True)
  except errors.DataError as error:
    return error
  return None


def load(directory: str | os.PathLike, split: str, full: bool = False) -> RecordSet:
  """Opens a record set and checks it against its manifest.

  Args:
    directory: folder with `manifest-<split>.json` and its shards.
    split: name of the split, or of a subset.
    full: see `check`; reads every byte.

  Raises:
    errors.DataError: a shard is missing, empty, cut, compressed or not a TFRecord.
  """
  record_set = read(directory, split)
  check(record_set, full)
  return record_set
