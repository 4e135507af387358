"""Fingerprints of many pictures on disk, in parts that are written whole and read as memory maps.

A folder holds `index.json` and per part `part-00000.hashes.npy`, `.thumbs.npy`, `.aspects.npy`,
`.digests.npy` and `.json` (ids, what could not be read); `index.json` has their checksums. 4.3 kB a
picture. Indexes are merged by naming several folders.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import operator
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jft_reps import errors, whole_files
from jft_reps.collection.dedup import perceptual_hash
from jft_reps.collection.dedup import pictures as duplicate_pictures

VERSION = 2
PART = 65_536  # pictures; a part is searched in one go
_ARRAYS = {  # name: dtype, shape of one picture
    "hashes": (np.uint64, (len(perceptual_hash.VIEWS),)),
    "thumbs": (np.uint8, (perceptual_hash.THUMB, perceptual_hash.THUMB)),
    "aspects": (np.float32, ()),
    "digests": (np.uint64, ()),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
  """Some pictures of an index.

  Attributes:
    ids: of those that could be read.
    hashes: uint64 `[n, views]` of `perceptual_hash.Fingerprint`.
    thumbs: uint8 `[n, THUMB, THUMB]`.
    aspects: float32 `[n]`, width over height.
    digests: uint64 `[n]`, of the pixels of degenerate pictures, 0 of others.
    unreadable: (id, reason) of the others.
    source: where the pictures are: a folder, or `records:FOLDER/SPLIT`.
  """

  ids: Sequence[str]
  hashes: np.ndarray
  thumbs: np.ndarray
  aspects: np.ndarray
  digests: np.ndarray
  unreadable: Sequence[tuple[str, str]] = ()
  source: str = ""

  @property
  def degenerate(self) -> list[str]:
    """Ids of pictures in which nothing can be compared."""
    return [self.ids[i] for i in np.flatnonzero(~self.hashes.any(1)).tolist()]


def collect(pictures: Iterable[duplicate_pictures.Picture], processes: int = 1,
            progress: Callable[[int], None] = lambda done: None, source: str = "",
            size: int = PART) -> Iterator[Part]:
  """Fingerprints of pictures, a part at a time."""
  ids, found, unreadable, done = [], [], [], 0
  for picture_id, one in duplicate_pictures.mapped(
      duplicate_pictures.fingerprint, pictures, processes):
    done += 1
    if isinstance(one, str):
      unreadable.append((picture_id, one))
    else:
      ids.append(picture_id)
      found.append(one)
    if not done % 100:
      progress(done)
    if len(ids) + len(unreadable) == size:
      yield _part(ids, found, unreadable, source)
      ids, found, unreadable = [], [], []
  progress(done)
  if ids or unreadable:
    yield _part(ids, found, unreadable, source)


def joined(parts: Sequence[Part]) -> Part:
  """Several parts as one, in memory."""
  arrays: dict[str, Any] = {name: np.concatenate(
      [np.zeros((0, *shape), dtype), *(getattr(p, name) for p in parts)])
                            for name, (dtype, shape) in _ARRAYS.items()}
  return Part([i for p in parts for i in p.ids], **arrays,
              unreadable=[u for p in parts for u in p.unreadable])


def check_ids(parts: Sequence[Part]) -> None:
  """Refuses parts in which one id is that of two pictures, so that a list of ids means one each.

  Raises:
    errors.DataError: names the id and where it is.
  """
  seen: set[str] = set()
  for part in parts:
    for name in part.ids:
      if name in seen:
        where = [p.source or "an index" for p in parts for other in p.ids if other == name]
        raise errors.DataError(
            "ids-collide", errors.printable(name), f"in {' and in '.join(where[:2])}",
            "ids that tell all pictures of a side apart", "Give folders by the one above them, "
            "or compare the sets one by one, each with its own --output.")
      seen.add(name)


def _part(ids: list[str], found: list[perceptual_hash.Fingerprint],
          unreadable: list[tuple[str, str]], source: str) -> Part:
  columns = zip(*found) if found else ((),) * len(_ARRAYS)
  arrays = {name: np.array(column, dtype).reshape(-1, *shape)
            for column, (name, (dtype, shape)) in zip(columns, _ARRAYS.items())}
  return Part(ids, **arrays, unreadable=unreadable, source=source)


def write(folder: str | os.PathLike, parts: Iterable[Part]) -> list[Part]:
  """Stores parts as they come, the description last; gives them as they are on disk.

  Raises:
    errors.StorageError: the folder cannot be written.
  """
  folder, source = pathlib.Path(folder), ""
  counts: list[int] = []
  checksums: list[dict[str, str]] = []
  try:
    folder.mkdir(parents=True, exist_ok=True)
    for old in (folder / "index.json", *folder.glob("part-*")):
      old.unlink(missing_ok=True)
    for part in parts:
      stem = folder / f"part-{len(counts):05d}"
      checksums.append({})
      for name in _ARRAYS:
        array = getattr(part, name)
        checksums[-1][f"{name}.npy"] = _whole(
            f"{stem}.{name}.npy", functools.partial(np.save, arr=array, allow_pickle=False))
      text = json.dumps({"ids": list(part.ids), "unreadable": list(part.unreadable)})
      checksums[-1]["json"] = _whole(
          f"{stem}.json", operator.methodcaller("write", text.encode()))
      counts.append(len(part.ids))
      source = part.source
    about = json.dumps({"version": VERSION, "views": perceptual_hash.VIEWS, "parts": counts,
                        "sha256": checksums, "source": source})
    _whole(folder / "index.json", lambda file: file.write(about.encode()))
  except OSError as e:
    raise errors.StorageError("index-write", e.filename or folder, e.strerror or str(e),
                              "a folder to write to") from e
  return read(folder)


def _whole(path: str | os.PathLike, fill: Callable[[Any], Any]) -> str:
  """Writes a file under another name first; its checksum."""
  with whole_files.replacing(path, binary=True) as file:
    fill(file)
    file.flush()
    return whole_files.sha256(file.name)


def is_index(folder: str | os.PathLike) -> bool:
  return os.path.isfile(os.path.join(folder, "index.json"))


def read(*folders: str | os.PathLike) -> list[Part]:
  """The parts of one or several indexes.

  Raises:
    errors.DataError: one is missing, damaged or of another version.
  """
  return [part for folder in folders for part in _read(pathlib.Path(folder))]


def _read(folder: pathlib.Path) -> Iterator[Part]:
  try:
    about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    ours = {"version": VERSION, "views": json.loads(json.dumps(perceptual_hash.VIEWS))}
    if {key: about[key] for key in ours} != ours:
      raise errors.DataError("index-version", folder, f"version {about['version']} or other views",
                             f"version {VERSION}", "Hash the pictures again.")
    for number, (count, sums) in enumerate(zip(about["parts"], about["sha256"], strict=True)):
      stem = folder / f"part-{number:05d}"
      for ending in ("json", *(f"{name}.npy" for name in _ARRAYS)):
        if whole_files.sha256(f"{stem}.{ending}") != sums[ending]:
          raise ValueError(f"{stem.name}.{ending} is another file: its checksum differs")
      yield _load(stem, count, about["source"])
  except (OSError, ValueError, KeyError, TypeError) as e:
    raise errors.DataError("index-damaged", errors.printable(folder), errors.printable(e)[:200],
                           "an index as dedup writes it", "Hash the pictures again.") from e


def _load(stem: pathlib.Path, count: int, source: str) -> Part:
  about = json.loads(pathlib.Path(f"{stem}.json").read_text(encoding="utf-8"))
  arrays = {}
  for name, (dtype, shape) in _ARRAYS.items():
    arrays[name] = np.load(f"{stem}.{name}.npy", mmap_mode="r", allow_pickle=False)
    if arrays[name].dtype != dtype or arrays[name].shape != (count, *shape):
      raise ValueError(f"{stem.name}.{name}.npy is no {dtype.__name__} {(count, *shape)}")
  if len(about["ids"]) != count:
    raise ValueError(f"{stem.name}.json has {len(about['ids'])} ids, not {count}")
  unreadable = [(str(picture_id), str(reason)) for picture_id, reason in about["unreadable"]]
  return Part(about["ids"], **arrays, unreadable=unreadable, source=source)
