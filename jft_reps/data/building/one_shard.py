"""One shard of a build: the unit of work, whose bytes depend on the plan alone.

Any process that sees the folder of the build can make any shard, once or again. What was counted
on the way is written beside the shard when it is whole, which commits it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jft_reps import errors, whole_files
from jft_reps.data.building import boxes, encoding, packing, quarantine
from jft_reps.data.building.masks import PixelCounts
from jft_reps.data.records import manifest, reasons, schema, shard_files, spills
from jft_reps.data.sources import raw

PLAN = "plan.json"


class How(NamedTuple):
  """What `encoding.encode_picture` is told of every picture."""

  store_size: int
  store_quality: int
  exif: bool
  num_classes: int


@dataclasses.dataclass(frozen=True)
class Job:
  """What a process has to know to make any shard of a build.

  Attributes:
    folder: of the unfinished build: the plan is there, and the shards are until all are made.
    split: name of the set.
    shards: number of files.
    how: pictures are encoded.
    placed: `boxes` (with or without keypoints), `masks` or an empty string: what they carry.
    listed: where pictures that are left out are listed in the end, for the text of errors.
    placeholders: names of pictures that stand for lost ones, by `sources.placeholders.digest`.
  """

  folder: str
  split: str
  shards: int
  how: How
  placed: str
  listed: str
  placeholders: Mapping[str, str]

  def path(self, kind: str, index: int) -> str:
    """Of what belongs to a shard: its `counts`, `left-out` list or `digests`."""
    return os.path.join(self.folder, f"{kind}-{index:05d}")


def done(job: Job, index: int) -> dict[str, Any] | None:
  """What `make` counted, or None where the shard is not whole."""
  try:
    with open(job.path("counts", index), encoding="utf-8") as file:
      return json.load(file)
  except FileNotFoundError:
    return None


def keep_failure(job: Job, index: int, error: errors.JftError) -> None:
  """Writes why a shard could not be made, for `failure` in another process."""
  kind, parts = error.__reduce__()
  whole_files.write(job.path("failure", index), json.dumps([kind.__name__, *parts]))


def failure(job: Job, index: int) -> errors.JftError:
  """Why a shard could not be made."""
  try:
    with open(job.path("failure", index), encoding="utf-8") as file:
      kind, *parts = json.load(file)
  except FileNotFoundError:
    return errors.DataError(
        "shard-lost", job.path("counts", index), "no shard, and no error", "every shard of the set",
        "Do all workers see this folder? Build again: it goes on where it was.")
  return getattr(errors, kind)(*parts)


def make(job: Job, index: int, seen: Callable[[], None] = lambda: None) -> dict[str, Any]:
  """Makes one shard.

  Args:
    job: of the build.
    index: of the shard.
    seen: called after every picture.

  Returns:
    `shard` (fields of `manifest.Shard`), `seen` and `labels` (numbers of pictures and labels),
    `dropped` (by name of the reason), `placeholders` (by name), `boxes` and `pixels`.

  Raises:
    errors.DataError: an id was given twice, too many pictures or boxes are bad, a mask is of
      another form or has another class.
    errors.StorageError: it could not be written.
  """
  work = _Shard(job, index, seen)
  spill = spills.path_of(job.folder, index)
  name = shard_files.shard_name(job.split, index, job.shards)
  packed = spills.values(spill, spills.entries(spill, os.path.dirname(job.folder)))
  with work.left_out:
    shard = shard_files.write(os.path.join(job.folder, name), work.examples(packed))
  counted = work.counted(shard)
  work.write_digests()
  # A process that outlived its chief may write the same: whoever is last, the bytes are equal.
  whole_files.write(job.path("counts", index), json.dumps(counted))
  return counted


class _Shard:
  """What is counted while the pictures of a shard pass."""

  def __init__(self, job: Job, index: int, seen: Callable[[], None]):
    self.left_out = quarantine.Quarantine(job.path("left-out", index))
    self._job, self._index, self._report = job, index, seen
    self._classes = classes_of(job.folder)
    self._seen = self._labels = 0
    self._placed = boxes.PlacedBoxes() if job.placed == "boxes" else None
    self._pixels = PixelCounts(len(self._classes)) if job.placed == "masks" else None
    self._placeholders: dict[str, int] = {}
    self._digests: list[str] = []

  def examples(self, packed: Iterator[bytes]) -> Iterator[bytes]:
    """Records of the pictures that can be used."""
    for value in packed:
      source = packing.unpack(value)
      picture = encoding.encode_picture(source.picture, source.mask, *self._job.how)
      self._seen += 1
      reason = self._reason(source, picture)
      if reason >= 0:
        self.left_out.add(source, reason)
        quarantine.check(self.left_out.counts, self._seen, source.where, self._job.listed)
      else:
        yield self._example(source, picture)
      self._report()

  def _reason(self, source: raw.Source, picture: encoding.Encoded) -> int:
    """Why a picture is left out, a code of `reasons`, or -1."""
    name = self._job.placeholders.get(picture.digest)
    if name is not None:
      self._placeholders[name] = self._placeholders.get(name, 0) + 1
      return reasons.PLACEHOLDER
    if picture.reason < 0 and source.objects is not None and source.objects.size is not None:
      if source.objects.size != (picture.height, picture.width):
        return reasons.SIZE_MISMATCH
    return picture.reason

  def _example(self, source: raw.Source, picture: encoding.Encoded) -> bytes:
    self._digests.append(f"{picture.digest}\t{errors.printable(source.picture_id, 1000)}\n")
    labels: Sequence[str] = source.labels
    objects: dict[str, Any] = {}
    if self._placed is not None and source.objects is not None:
      objects, names = self._placed.place(source.objects, picture.height, picture.width)
      self._placed.check(source.where)
      objects["object_labels"] = [self._classes[name] for name in names]
      labels = tuple(label for label in labels if label in names)
    indices = [self._classes[label] for label in labels]
    self._labels += len(source.labels if picture.mask is None else picture.mask.classes)
    if picture.mask is not None and self._pixels is not None:
      self._pixels.add(picture.mask)
      indices, objects = picture.mask.classes, {"segmentation": picture.mask.data}
    confidences = None if all(c == 1.0 for c in source.confidences) else source.confidences
    absent = [self._classes[label] for label in source.absent] or None
    return schema.encode(
        source.picture_id, picture.data, picture.image_format, picture.height, picture.width,
        indices, confidences, absent=absent, **objects)

  def counted(self, shard: manifest.Shard) -> dict[str, Any]:
    """What `make` returns."""
    return {
        "shard": dataclasses.asdict(shard), "seen": self._seen, "labels": self._labels,
        "dropped": dict(self.left_out.counts), "placeholders": self._placeholders,
        "boxes": self._placed and self._placed.to_json(),
        "pixels": self._pixels and self._pixels.to_json()}

  def write_digests(self) -> None:
    """Lists the pictures in the order of their digests, for `identical`."""
    whole_files.write(self._job.path("digests", self._index), "".join(sorted(self._digests)))


def classes_of(folder: str) -> dict[str, int]:
  """Class index of every label of a build."""
  path = os.path.join(folder, PLAN)
  return _classes(path, os.stat(path).st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _classes(path: str, _: int) -> dict[str, int]:
  with open(path, encoding="utf-8") as file:
    return {label: i for i, label in enumerate(json.load(file)["labels"])}
