"""Subsets of a record set: the first pictures by the hash of their ids, or of some classes.

The order is by hash whatever the conditions, so subsets of growing size are nested (10M ⊂ 30M ⊂
100M ⊂ 300M, Sun et al. 2017, figure 4) and random: the hash knows nothing of the picture. A subset
is a manifest on the shards of its set and copies nothing; where it leaves pictures out in between,
it has an index. Its metadata has those of its set and

  subset: {of, of_sha256, base, below, pictures, classes, listed_out, left_out, listed, met, counts}

`of` is the set it was made of, `of_sha256` what that held, `base` the one whose shards it reads,
`below` the limit of the hash, `classes` the number of classes of which its pictures carry at least
one, `listed_out` how many ids were listed to be left out and `left_out` how many of them were met,
`listed` and `met` the same of ids to keep (`met` where every picture was looked at), `counts` the
file of pictures per class. What does not apply is absent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from jft_reps import errors, whole_files
from jft_reps.collection.subsets import choice as picture_choice
from jft_reps.collection.subsets.choice import Choice, Piece
from jft_reps.data.records import bit_index, framing, manifest, writing
from jft_reps.data.records import shard as shard_lib

_STEP = 2.0**-53  # between neighbouring hashes


def make(
    directory: str | os.PathLike,
    split: str,
    sizes: Mapping[str, int | None],
    choice: Choice,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[manifest.RecordSet]:
  """Makes subsets of a split, or of a subset, in one pass over as many pictures as it takes.

  Args:
    directory: folder of the records.
    split: the set to take pictures from.
    sizes: number of pictures by name of the subset; None: all that the choice takes.
    choice: which pictures. Where it counts nothing and takes all, no picture is read.
    overwrite: replace subsets of these names.
    progress: called as `progress(seen, records)`.

  Returns:
    The subsets, in the order of `sizes`.

  Raises:
    errors.DataError: fewer pictures than a size, or none; a name that is taken, by a set that is
      no subset in any case; a shard is damaged. Nothing is written then.
    errors.ConfigError: a size below 1, or the name of the set itself.
    errors.StorageError: a file cannot be written.
  """
  record_set = manifest.read(directory, split)
  manifest.check_subset(record_set)
  _check_sizes(record_set, sizes, choice)
  for name in sizes:
    _check_name(record_set, name, overwrite)
  growing = [_Growing(name, size, len(choice.labels)) for name, size in sizes.items()]
  seen = left_out = met = 0
  for number, shard in enumerate(record_set.shards):
    if not any(subset.left for subset in growing):
      break
    if not shard.pictures:
      continue
    for subset in growing:
      subset.begin(shard)
    for piece in _pieces(record_set, number, choice):
      for subset in growing:
        subset.add(piece)
      seen, left_out, met = seen + piece.seen, left_out + piece.left_out, met + piece.met
      if progress is not None:
        progress(seen, record_set.records)
      if not any(subset.left for subset in growing):
        break
    for subset in growing:
      subset.end(shard)
  note = {} if choice.classes is None else {"classes": choice.classes}
  if choice.listed_out is not None:
    note |= {"listed_out": choice.listed_out, "left_out": left_out}
  if choice.listed is not None:
    note |= {"listed": choice.listed} | ({"met": met} if seen == record_set.records else {})
  done = [subset.record_set(record_set, dict(note)) for subset in growing]
  for subset, found in zip(growing, done, strict=True):
    _publish(found, subset, choice)
  return done


def _check_sizes(
    record_set: manifest.RecordSet, sizes: Mapping[str, int | None], choice: Choice
) -> None:
  """Refuses sizes that cannot be."""
  where = f"{record_set.directory}, split {record_set.split}"
  for name, size in sizes.items():
    if size is None and choice.takes_all and choice.listed_out is None:
      raise errors.ConfigError("bad-subset", name, "all of the pictures",
                               "a size, classes, or ids to keep or to leave out")
    if size is not None and size < 1:
      raise errors.ConfigError("bad-subset", name, f"{size} pictures", "at least 1")
    if size is not None and size > record_set.records:
      raise _too_few(where, record_set.records, name, size)


def _too_few(where: str, found: int, name: str, size: int | None) -> errors.DataError:
  expected = "at least one" if size is None else f"the {size:,} of {name}"
  return errors.DataError(
      "too-few-pictures", where, f"{found:,} pictures to choose from", expected,
      "Ask for fewer, or for other classes or ids.")


def _check_name(record_set: manifest.RecordSet, name: str, overwrite: bool) -> None:
  """Refuses names of sets that are there, unless they are subsets that may be replaced."""
  path = manifest.path_of(record_set.directory, name)
  if name in (record_set.split, _base(record_set)):
    raise errors.ConfigError("bad-subset", name, "the name of the set itself", "another name")
  if not os.path.exists(path):
    return
  if not overwrite:
    raise errors.DataError("split-exists", path, "a set of this name is there already",
                           fix="Choose another name, or overwrite it explicitly.")
  if "subset" not in manifest.read(record_set.directory, name).metadata:
    raise errors.DataError("split-exists", path, "a set that is no subset", "another name",
                           "Only subsets are overwritten.")


def outdated(directory: str | os.PathLike, split: str) -> list[str]:
  """Subsets of a set, in its folder, that were made when it held other pictures."""
  found = []
  for name in sorted(os.listdir(directory)):
    if name.startswith("manifest-") and name.endswith(".json"):
      with contextlib.suppress(errors.JftError):
        if manifest.outdated(manifest.read(directory, name[9:-5])) == split:
          found.append(name[9:-5])
  return found


def _base(record_set: manifest.RecordSet) -> str:
  """The set whose shards a set reads."""
  return record_set.metadata.get("subset", {"base": record_set.split})["base"]


def _pieces(record_set: manifest.RecordSet, number: int, choice: Choice) -> Iterator[Piece]:
  """`choice.pieces` of a shard that was checked, as no shard is that will not be read.

  Raises:
    errors.DataError: the shard is missing or damaged.
  """
  shard = record_set.shards[number]
  path = os.path.join(record_set.directory, shard.file)
  if not os.path.isfile(path):
    raise errors.DataError("missing-shards", path, "no such file", "every shard of the manifest",
                           "Copy the missing shards or build the records again.")
  shard_lib.check(path, shard)
  try:
    yield from choice.pieces(record_set, number)
  except errors.DataError:
    shard_lib.check(path, shard, full=True)  # says it against the manifest
    raise


class _Growing:
  """A subset that takes the pictures it meets until it has as many as it needs."""

  def __init__(self, name: str, size: int | None, classes: int):
    self.name, self.size = name, size
    self.left: float = math.inf if size is None else size
    self.counts = np.zeros(classes, np.int64)
    self._shards: list[manifest.Shard] = []
    self._packed: list[bytes] = []

  def begin(self, shard: manifest.Shard) -> None:
    """Begins a shard of the set."""
    self._bits = np.zeros(shard.use, bool)

  def add(self, piece: Piece) -> None:
    """Takes as many of these as are still needed."""
    taken = int(min(self.left, len(piece.numbers)))
    self._bits[piece.numbers[:taken]] = True
    inside = piece.classes[piece.pictures < taken]
    self.counts += np.bincount(inside, minlength=len(self.counts))
    self.left -= taken

  def end(self, shard: manifest.Shard) -> None:
    """Ends the shard at the last picture that was taken, and leaves out one of which none was."""
    taken = np.flatnonzero(self._bits)
    if taken.size:
      use = int(taken[-1]) + 1
      self._shards.append(dataclasses.replace(shard, use=use, pictures=int(taken.size)))
      self._packed.append(bit_index.pack([self._bits[:use]]))

  @property
  def index(self) -> bytes:
    """Bits of the records that it uses; empty where it leaves none of them out."""
    between = any(shard.pictures < shard.use for shard in self._shards)
    return b"".join(self._packed) if between else b""

  def record_set(self, of: manifest.RecordSet, note: dict[str, Any]) -> manifest.RecordSet:
    """The subset; raises DataError if it has fewer pictures than it needs, or none."""
    found = sum(shard.pictures for shard in self._shards)
    if not found or (self.size is not None and self.left):
      raise _too_few(f"{of.directory}, split {of.split}", found, self.name, self.size)
    last = self._shards[-1]
    below = _hash(os.path.join(of.directory, last.file), last.use - 1) + _STEP
    note = {"of": of.split, "of_sha256": manifest.fingerprint(of), "base": _base(of),
            "below": below, "pictures": found, **note}
    index = self.index
    return manifest.RecordSet(
        of.directory, self.name, tuple(self._shards), {**of.metadata, "subset": note},
        f"index-{self.name}.bin" if index else None,
        hashlib.sha256(index).hexdigest() if index else "")


def _hash(path: str, number: int) -> float:
  """Hash of the id of a record of a file."""
  offset, length = next(itertools.islice(framing.walk(path), number, None))
  with open(path, "rb") as file:
    file.seek(offset + framing.HEADER)
    name, _ = picture_choice.identified(file.read(length))
  if not name:
    raise errors.DataError("bad-record", f"{path} record {number}", "a record without an id",
                           "a picture", "Build the records again.")
  return writing.unit_hash(name.decode("utf-8", "surrogateescape"))


def _publish(done: manifest.RecordSet, subset: _Growing, choice: Choice) -> None:
  """Writes counts, index and manifest; the old manifest goes first, so that none ever lies."""
  names = {"index": f"index-{done.split}.bin", "counts": f"counts-{done.split}.json"}
  paths = {key: os.path.join(done.directory, name) for key, name in names.items()}
  for path in (manifest.path_of(done.directory, done.split), *paths.values()):
    with contextlib.suppress(FileNotFoundError):
      os.remove(path)
  if choice.counts:
    counts = dict(zip(choice.labels, subset.counts.tolist(), strict=True))
    content = {"split": done.split, "pictures": done.records, "ancestors": choice.ancestors,
               "counts": counts}
    whole_files.write(paths["counts"], json.dumps(content, indent=0) + "\n")
    done.metadata["subset"]["counts"] = names["counts"]
  if done.index is not None:
    whole_files.write(paths["index"], subset.index)
  manifest.write(done)
