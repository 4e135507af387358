"""Builds a record set from encoded pictures; every picture is decoded once, here.

Two passes over the list of pictures: the first collects labels and finds those that no
class has before any work is done, the second encodes in a pool of processes.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import difflib
import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO

from jft_reps import errors
from jft_reps.data import encoding, label_map, manifest, reasons, records, schema
from jft_reps.data.sources import raw

_CHUNK = 16
_EARLY, _LATE = (100, 0.5), (10_000, 0.01)


@dataclasses.dataclass(frozen=True)
class Summary:
  """What a build did.

  Attributes:
    record_set: the set that was written.
    pictures: number written.
    labels: number of labels on them.
    classes: size of the label map.
    dropped: pictures left out, by name of the reason.
    quarantine: file that lists them, or an empty string.
  """

  record_set: manifest.RecordSet
  pictures: int
  labels: int
  classes: int
  dropped: dict[str, int]
  quarantine: str


def _class_indices(
    sources: Callable[[], Iterable[raw.Source]], labels: Sequence[str] | None
) -> tuple[dict[str, int], int]:
  """(class index of every label, number of pictures), after a pass over all pictures."""
  known = None if labels is None else {label: i for i, label in enumerate(labels)}
  found, count = set(), 0
  for source in sources():
    count += 1
    found.update(source.labels)
    if known is not None:
      for label in source.labels:
        if label not in known:
          raise _unknown_label(label, source.where, known)
  if not count:
    raise errors.DataError("no-pictures", "input", "no picture", "JPEG or PNG files with labels")
  if known is None:
    known = {label: i for i, label in enumerate(sorted(found))}
  return known, count


def _unknown_label(label: str, where: str, known: dict[str, int]) -> errors.DataError:
  near = difflib.get_close_matches(label, itertools.islice(known, 20_000), 1)
  fix = f"Did you mean {errors.printable(near[0])!r}?" if near else "Correct it or the label map."
  return errors.DataError(
      "unknown-label", where, f"label {errors.printable(label)!r}",
      f"one of the {len(known)} labels of the label map", fix,
  )


def _encode_chunk(
    pictures: list[str | bytes], size: int, quality: int
) -> list[encoding.Encoded]:
  return [encoding.encode_picture(picture, size, quality) for picture in pictures]


def _encoded(
    sources: Iterable[raw.Source], size: int, quality: int, processes: int
) -> Iterator[tuple[raw.Source, encoding.Encoded]]:
  """Every source with its encoded picture, in order; few chunks are in flight at once."""
  if processes <= 1:
    for source in sources:
      yield source, encoding.encode_picture(source.picture, size, quality)
    return
  context = multiprocessing.get_context("spawn")
  remaining = iter(sources)
  waiting: collections.deque = collections.deque()
  with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
    try:
      while True:
        while len(waiting) < 3 * processes:
          chunk = list(itertools.islice(remaining, _CHUNK))
          if not chunk:
            break
          job = pool.submit(_encode_chunk, [s.picture for s in chunk], size, quality)
          waiting.append((chunk, job))
        if not waiting:
          return
        chunk, job = waiting.popleft()
        yield from zip(chunk, job.result(), strict=True)
    except concurrent.futures.process.BrokenProcessPool:
      raise errors.DataError(
          "process-died", chunk[0].where, "a process that decodes pictures ended early",
          fix="Out of memory or killed? Try fewer --processes; it was in this or the next "
          f"{_CHUNK * 3 * processes} pictures.",
      ) from None
    finally:
      for _, job in waiting:
        job.cancel()


def _check_dropped(dropped: collections.Counter, seen: int, where: str) -> None:
  lost = sum(dropped.values())
  for after, fraction in (_EARLY, _LATE):
    if seen >= after and lost > fraction * seen:
      found = f"{lost} of {seen} pictures left out ({_text(dropped)})"
      raise errors.DataError(
          "too-many-bad-pictures", where, found, f"at most {fraction:.0%} after {after}",
          "Mend or remove them.",
      )


def _text(dropped: collections.Counter) -> str:
  return ", ".join(f"{name} {count}" for name, count in sorted(dropped.items()))


class _Quarantine:
  """The list of pictures left out, which appears under its name only when there are some."""

  def __init__(self, path: str):
    self.path, self._file = path, None
    self.counts: collections.Counter = collections.Counter()

  def add(self, source: raw.Source, reason: int) -> None:
    file: TextIO = self._file or open(self._temporary, "w", encoding="utf-8")
    self._file = file
    self.counts[reasons.NAMES[reason]] += 1
    file.write(f"{errors.printable(source.picture_id, 1000)}\t{reasons.NAMES[reason]}\n")

  @property
  def _temporary(self) -> str:
    return f"{self.path}.tmp-{os.getpid()}"

  def close(self) -> str:
    """Gives the file its name and returns that, or an empty string where nothing is in it."""
    if os.path.exists(self.path):
      os.remove(self.path)
    if self._file is None:
      return ""
    self._file.close()
    os.replace(self._temporary, self.path)
    return self.path


def build(
    sources: Callable[[], Iterable[raw.Source]],
    output: str | os.PathLike,
    split: str,
    shards: int = 16,
    labels: Sequence[str] | None = None,
    store_size: int = 0,
    store_quality: int = 75,
    processes: int = 1,
    overwrite: bool = False,
    metadata: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    listing: Callable[[], Iterable[raw.Source]] | None = None,
    total: int | None = None,
) -> Summary:
  """Writes pictures with their labels as a record set.

  EXIF rotation is applied (the manifest says so), bytes after the end of a JPEG are cut
  off, pictures that do not decode whole are listed in `quarantine-<split>.tsv`.

  Args:
    sources: called twice, gives the pictures; `sources.folder.read` or `sources.lists.read`.
      Those that carry bytes are held a few chunks at a time.
    output: directory of the set; `labels.txt` is shared by its splits.
    split: name of the set.
    shards: number of files.
    labels: label ids in class order; by default the sorted labels that occur.
    store_size: side in pixels to which pictures are resized, 340 for the paper's training;
      0 keeps them.
    store_quality: of the JPEGs of resized pictures.
    processes: that decode; 1 stays in this process.
    overwrite: replace a set of the same split.
    metadata: further entries of the manifest.
    progress: called as `progress(done, total)` after every picture.
    listing: the same pictures for the first pass, where they are cheaper without their bytes.
    total: number of pictures, where it is known and all they can have is in `labels`; there is
      no first pass then.

  Returns:
    What was done.

  Raises:
    errors.DataError: bad input, an unknown label, an id given twice, too many bad pictures.
    errors.StorageError: a shard could not be written.
  """
  if store_size < 0 or processes < 1 or not 1 <= store_quality <= 100:
    found = f"store_size {store_size}, processes {processes}, store_quality {store_quality}"
    raise errors.ConfigError("bad-build", "build", found, "0 or more, 1 or more, 1 to 100")
  if total is None or labels is None:
    classes, total = _class_indices(listing or sources, labels)
  else:
    classes = {label: i for i, label in enumerate(labels)}
  about = {"exif": "applied", "store_size": store_size, **(metadata or {})}
  if store_size:
    about["store_quality"] = store_quality
  output = os.fspath(output)
  quarantine = _Quarantine(os.path.join(output, f"quarantine-{split}.tsv"))
  written = label_count = 0
  with records.Writer(output, split, shards, about, overwrite) as writer:
    writer.metadata.update(label_map.metadata(label_map.write(output, list(classes))))
    encoded = _encoded(sources(), store_size, store_quality, processes)
    for done, (source, picture) in enumerate(encoded, 1):
      if picture.reason >= 0:
        quarantine.add(source, picture.reason)
        _check_dropped(quarantine.counts, done, source.where)
      else:
        writer.write(source.picture_id, _example(source, picture, classes))
        written, label_count = written + 1, label_count + len(source.labels)
      if progress is not None:
        progress(done, total)
    if not written:
      found = f"none of {total} pictures is usable ({_text(quarantine.counts)})"
      raise errors.DataError("no-usable-picture", "input", found, "JPEG or PNG pictures")
    writer.metadata["dropped"] = dict(quarantine.counts)
  return Summary(
      writer.record_set, written, label_count, len(classes), dict(quarantine.counts),
      quarantine.close(),
  )


def _example(source: raw.Source, picture: encoding.Encoded, classes: dict[str, int]) -> bytes:
  confidences = None if all(c == 1.0 for c in source.confidences) else source.confidences
  for label in source.labels:
    if label not in classes:  # the second pass differs from the first, or there was none
      raise _unknown_label(label, source.where, classes)
  return schema.encode(
      source.picture_id, picture.data, picture.image_format, picture.height, picture.width,
      [classes[label] for label in source.labels], confidences,
  )
