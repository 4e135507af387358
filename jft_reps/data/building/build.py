"""Builds a record set from encoded pictures; every picture is decoded once, here.

One pass over the pictures plans: what is known of each goes to the shard that its id prescribes.
Then every shard is made by itself (`one_shard`), in any order and in any process, and in the end
all get their names together with the manifest. A build that was killed goes on where it was.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jft_reps import errors
from jft_reps.data.building import identical, one_shard, quarantine, runners
from jft_reps.data.building import masks as index_masks
from jft_reps.data.building import plan as build_plan
from jft_reps.data.building.boxes import PlacedBoxes
from jft_reps.data.records import keypoint_schema, label_map, manifest, shard_files
from jft_reps.data.sources import placeholders as lost
from jft_reps.data.sources import raw


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
    boxes: what became of the boxes, in a set that has them.
    pixels: what the masks hold, in a set that has them.
    placeholders: pictures left out because they stand for lost ones, by name.
    copies: pictures with the same bytes as another; `identical-<split>.tsv` lists them.
  """

  record_set: manifest.RecordSet
  pictures: int
  labels: int
  classes: int
  dropped: dict[str, int]
  quarantine: str
  boxes: PlacedBoxes | None = None
  pixels: index_masks.PixelCounts | None = None
  placeholders: dict[str, int] = dataclasses.field(default_factory=dict)
  copies: int = 0


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
    boxes: bool = False,
    masks: bool = False,
    keypoints: keypoint_schema.KeypointSchema | None = None,
    placeholders: Mapping[str, str] | None = None,
    listed: Callable[[int], None] | None = None,
    identity: str = "",
    runner: runners.Runner | None = None,
) -> Summary:
  """Writes pictures with their labels as a record set.

  EXIF rotation is applied unless there are boxes or masks (the manifest says so), bytes after the
  end of a JPEG are cut off, pictures that do not decode whole, or whose size is not that of their
  annotation, are listed in `quarantine-<split>.tsv`.

  The unfinished build lies in `.<split>.build`. What ended it decides what becomes of it: after a
  kill, a full disk or a lost process the same call goes on, where it finds the same arguments; an
  error in the data leaves nothing, as pictures may be mended before the next attempt.

  Args:
    sources: called once, gives the pictures; `sources.folder.read` or `sources.lists.read`.
    output: directory of the set; `labels.txt` is shared by its splits.
    split: name of the set.
    shards: number of files, which are made side by side.
    labels: label ids in class order; by default the sorted labels that occur.
    store_size: side in pixels to which pictures are resized, 340 for the paper's training;
      0 keeps them.
    store_quality: of the JPEGs of resized pictures.
    processes: that make shards; 1 stays in this process.
    overwrite: replace a set of the same split.
    metadata: further entries of the manifest; `source_counts` may be filled while pictures are
      read.
    progress: called as `progress(done, total)`, after every picture or some times a second.
    boxes: pictures have `objects`, which refer to the stored pixels; not to be resized.
    masks: pictures have a `mask` instead, or, to be predicted only, none of them has; as boxes.
      At most 255 `labels`, which have to be given.
    keypoints: pictures have `objects` with points of this schema; as boxes.
    placeholders: names of pictures that stand for lost ones, by `sources.placeholders.digest`; by
      default those that are known.
    listed: called with the number of pictures listed so far, thousands of them at a time.
    identity: tells these pictures from others; a build that was killed does not go on with another.
    runner: makes the shards; None: `runners.processes(processes)`.

  Returns:
    What was done.

  Raises:
    errors.DataError: bad input, an unknown label, an id given twice, too many bad pictures or
      boxes, a mask of another form or with another class, another build of this split is running.
    errors.StorageError: a shard could not be written.
  """
  if store_size < 0 or processes < 1 or not 1 <= store_quality <= 100 or shards < 1:
    found = f"store_size {store_size}, processes {processes}, store_quality {store_quality}"
    raise errors.ConfigError("bad-build", "build", f"{found}, shards {shards}",
                             "0 or more, 1 or more, 1 to 100, 1 or more")
  boxes = boxes or keypoints is not None
  placed = "boxes" if boxes else "masks" if masks else ""
  about = _about(placed, store_size, store_quality, labels, keypoints, metadata)
  output, known = os.fspath(output), dict(lost.KNOWN if placeholders is None else placeholders)
  arguments = {"shards": shards, "labels": None if labels is None else list(labels),
               "about": about, "quality": store_quality, "identity": identity,
               "placeholders": known}
  with build_plan.opened(output, split, arguments, overwrite) as unfinished:
    plan = unfinished.plan(sources, shards, labels, about.get("source_counts", {}), listed)
    label_map.check(output, plan.labels, split if overwrite else None)
    how = one_shard.How(store_size, store_quality, not placed, len(plan.labels))
    job = one_shard.Job(
        unfinished.folder, split, shards, how, placed,
        _list_path(output, split), known)
    try:
      counted = _run(job, plan.pictures, runner or runners.processes(processes), progress)
    except BaseException:
      _list_left_out(job)
      raise
    return _finished(job, output, plan, counted, about)


def _about(placed: str, store_size: int, store_quality: int, labels: Sequence[str] | None,
           keypoints: keypoint_schema.KeypointSchema | None, metadata: dict[str, Any] | None
           ) -> dict[str, Any]:
  """Entries of the manifest that are known before any picture is."""
  annotations = "keypoints" if keypoints else placed
  if annotations and store_size:
    raise errors.ConfigError(
        "bad-build", "build", f"store_size {store_size} with {annotations}",
        "0: they refer to pixels of the picture")
  if placed == "masks" and (labels is None or len(labels) > index_masks.VOID):
    raise errors.ConfigError("bad-build", "build", f"{len(labels or ())} classes in masks",
                             "labels, at most 255", "Index 255 is void.")
  about = {"exif": "applied", "store_size": store_size, **(metadata or {})}
  if placed:
    about.update(exif="ignored", annotations=annotations)
  if keypoints is not None:
    about["keypoints"] = keypoints.to_json()
  if store_size:
    about["store_quality"] = store_quality
  return about


def _run(job: one_shard.Job, total: int, runner: runners.Runner,
         progress: Callable[[int, int], None] | None) -> list[dict[str, Any]]:
  """What was counted in every shard, after those that are not there yet were made."""
  there = {i: c for i in range(job.shards) if (c := one_shard.done(job, i)) is not None}
  left = [i for i in range(job.shards) if i not in there]
  before = sum(one["seen"] for one in there.values())
  report = (lambda done: None) if progress is None else lambda done: progress(before + done, total)
  if before:
    report(0)
  counted, seen = [], 0
  dropped: collections.Counter[str] = collections.Counter()
  for one in itertools.chain(there.values(), runner(job, left, report) if left else ()):
    counted.append(one)
    dropped.update(one["dropped"])
    seen += one["seen"]
    quarantine.check(dropped, seen, one["shard"]["file"], job.listed)
  return sorted(counted, key=lambda one: one["shard"]["file"])


def _list_path(output: str, split: str) -> str:
  """Where to list what is left out: not over the list of a set that stays if this build fails."""
  new = ".new" if os.path.exists(manifest.path_of(output, split)) else ""
  return os.path.join(output, f"quarantine-{split}{new}.tsv")


def _list_left_out(job: one_shard.Job) -> str:
  parts = (job.path("left-out", i) for i in range(job.shards))
  return quarantine.gather(parts, job.listed)


def _finished(job: one_shard.Job, output: str, plan: build_plan.Plan,
              counted: list[dict[str, Any]], about: dict[str, Any]) -> Summary:
  """Gives the shards their names and says what is in them."""
  shards = tuple(manifest.Shard(**c["shard"]) for c in counted)
  dropped = dict(sum((collections.Counter(c["dropped"]) for c in counted), collections.Counter()))
  known = dict(sum((collections.Counter(c["placeholders"]) for c in counted),
                   collections.Counter()))
  written = sum(shard.records for shard in shards)
  listed, seen = _list_left_out(job), sum(c["seen"] for c in counted)
  if seen != plan.pictures:
    raise errors.DataError("pictures-lost", job.folder, f"{seen} pictures in the shards",
                           f"the {plan.pictures} that were listed", "Build again.")
  if not written:
    raise errors.DataError(
        "no-usable-picture", "input",
        f"none of {plan.pictures} pictures is usable ({quarantine.text(dropped)})",
        "JPEG or PNG pictures", quarantine.advice(job.listed))
  boxes, pixels = _placed(job, counted, output)
  about = {**about, **(boxes.metadata if boxes else {}), **(pixels.metadata if pixels else {}),
           **({"source_counts": plan.counts} if plan.counts else {}), "dropped": dropped}
  record_set, listed = _published(job, output, shards, plan, about, listed)
  copies = identical.report((job.path("digests", i) for i in range(job.shards)),
                            os.path.join(output, f"identical-{job.split}.tsv"))
  labels = sum(c["labels"] for c in counted)
  return Summary(record_set, written, labels, len(plan.labels), dropped, listed, boxes, pixels,
                 known, copies)


def _published(job: one_shard.Job, output: str, shards: tuple[manifest.Shard, ...],
               plan: build_plan.Plan, about: dict[str, Any], listed: str
               ) -> tuple[manifest.RecordSet, str]:
  """The set under its final names, and where it lists what was left out."""
  # An older set goes before its labels do, so that it never has those of another.
  shard_files.remove(output, job.split, kept=[shard.file for shard in shards])
  about.update(label_map.metadata(label_map.write(output, plan.labels, job.folder)))
  record_set = manifest.RecordSet(output, job.split, shards, about)
  shard_files.publish(job.folder, record_set)
  _check_labels(record_set, plan.labels)
  final = os.path.join(output, f"quarantine-{job.split}.tsv")
  if job.listed != final:
    listed = quarantine.gather([job.listed], final)
    if listed:
      os.remove(job.listed)
  return record_set, listed


def _placed(job: one_shard.Job, counted: list[dict[str, Any]], output: str
            ) -> tuple[PlacedBoxes | None, index_masks.PixelCounts | None]:
  """Counts of boxes and pixels of all shards, within their limits."""
  if job.placed == "boxes":
    boxes = PlacedBoxes()
    for one in counted:
      boxes.merge(one["boxes"])
    boxes.check(output, done=True)
    return boxes, None
  if job.placed == "masks":
    pixels = index_masks.PixelCounts(job.how.num_classes)
    for one in counted:
      pixels.merge(one["pixels"])
    pixels.check(output)
    return None, pixels
  return None, None


def _check_labels(record_set: manifest.RecordSet, labels: Sequence[str]) -> None:
  """Takes a set back whose label map another build replaced before the manifest named it.

  Raises:
    errors.DataError: that happened.
  """
  found = label_map.labels_of(record_set)
  if found != tuple(label.strip() for label in labels):
    path = manifest.path_of(record_set.directory, record_set.split)
    os.remove(path)
    raise errors.DataError(
        "labels-differ", path, f"another build wrote {len(found or ())} other labels meanwhile",
        f"the {len(labels)} of this build",
        "Build the splits one after another, or with the same --labels.")
