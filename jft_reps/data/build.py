"""Builds a record set from encoded pictures; every picture is decoded once, here.

Two passes over the list of pictures: the first collects labels and finds those that no
class has before any work is done, the second encodes in a pool of processes. Pictures whose
annotation says what lies where become records with boxes or with a mask.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jft_reps import errors
from jft_reps.data import (
    encoding,
    encoding_pool,
    label_map,
    manifest,
    placed_boxes,
    quarantine,
    reasons,
    records,
    schema,
)
from jft_reps.data import masks as index_masks
from jft_reps.data.sources import raw
from jft_reps.ops import keypoint_schema


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
  """

  record_set: manifest.RecordSet
  pictures: int
  labels: int
  classes: int
  dropped: dict[str, int]
  quarantine: str
  boxes: placed_boxes.PlacedBoxes | None = None
  pixels: index_masks.PixelCounts | None = None


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
  fix = f"Did you mean {errors.printable(near[0])!r}?" if near else (
      "Correct it, or name your own classes with --labels.")
  return errors.DataError(
      "unknown-label", where, f"label {errors.printable(label)!r}",
      f"one of the {len(known)} labels of the label map", fix,
  )


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
    boxes: bool = False,
    masks: bool = False,
    keypoints: keypoint_schema.KeypointSchema | None = None,
) -> Summary:
  """Writes pictures with their labels as a record set.

  EXIF rotation is applied unless there are boxes or masks (the manifest says so), bytes after the
  end of a JPEG are cut off, pictures that do not decode whole, or whose size is not that of their
  annotation, are listed in `quarantine-<split>.tsv`.

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
    boxes: pictures have `objects`, which refer to the stored pixels; not to be resized.
    masks: pictures have a `mask` instead, or, to be predicted only, none of them has; as boxes.
      At most 255 `labels`, which have to be given.
    keypoints: pictures have `objects` with points of this schema; as boxes.

  Returns:
    What was done.

  Raises:
    errors.DataError: bad input, an unknown label, an id given twice, too many bad pictures or
      boxes, a mask of another form or with another class.
    errors.StorageError: a shard could not be written.
  """
  if store_size < 0 or processes < 1 or not 1 <= store_quality <= 100:
    found = f"store_size {store_size}, processes {processes}, store_quality {store_quality}"
    raise errors.ConfigError("bad-build", "build", found, "0 or more, 1 or more, 1 to 100")
  if total is None or labels is None:
    classes, total = _class_indices(listing or sources, labels)
  else:
    classes = {label: i for i, label in enumerate(labels)}
  boxes = boxes or keypoints is not None
  placed_on_pixels = "keypoints" if keypoints else "boxes" if boxes else "masks" if masks else ""
  if placed_on_pixels and store_size:
    raise errors.ConfigError(
        "bad-build", "build", f"store_size {store_size} with {placed_on_pixels}",
        "0: they refer to pixels of the picture")
  if masks and (labels is None or len(classes) > index_masks.VOID):
    raise errors.ConfigError("bad-build", "build", f"{len(classes)} classes in masks",
                             "labels, at most 255", "Index 255 is void.")
  about = {"exif": "applied", "store_size": store_size, **(metadata or {})}
  if placed_on_pixels:
    about.update(exif="ignored", annotations=placed_on_pixels)
  if keypoints is not None:
    about["keypoints"] = keypoints.to_json()
  if store_size:
    about["store_quality"] = store_quality
  output = os.fspath(output)
  written = label_count = 0
  placed = placed_boxes.PlacedBoxes() if boxes else None
  pixels = index_masks.PixelCounts(len(classes)) if masks else None
  how = encoding_pool.How(store_size, store_quality, not placed_on_pixels, len(classes))
  with (quarantine.Quarantine(os.path.join(output, f"quarantine-{split}.tsv")) as left_out,
        records.Writer(output, split, shards, about, overwrite) as writer):
    label_map.check(output, list(classes))
    encoded = encoding_pool.encoded(sources(), how, processes)
    for done, (source, picture) in enumerate(encoded, 1):
      reason = _reason(source, picture)
      if reason >= 0:
        left_out.add(source, reason)
        left_out.check(done, source.where)
      else:
        writer.write(source.picture_id, _example(source, picture, classes, placed))
        written += 1
        label_count += len(source.labels if picture.mask is None else picture.mask.classes)
        if pixels is not None and picture.mask is not None:
          pixels.add(picture.mask)
      if progress is not None:
        progress(done, total)
    if not written:
      raise errors.DataError(
          "no-usable-picture", "input", f"none of {total} pictures is usable ({left_out.text})",
          "JPEG or PNG pictures", left_out.advice)
    if placed is not None:
      placed.check(output, done=True)
      writer.metadata.update(placed.metadata)
    if pixels is not None:
      pixels.check(output)
      writer.metadata.update(pixels.metadata)
    writer.metadata["dropped"] = dict(left_out.counts)
    writer.metadata.update(label_map.metadata(label_map.write(output, list(classes))))
  _check_labels(writer.record_set, classes)
  return Summary(
      writer.record_set, written, label_count, len(classes), dict(left_out.counts),
      left_out.written, placed, pixels,
  )


def _check_labels(record_set: manifest.RecordSet, classes: dict[str, int]) -> None:
  """Takes a set back whose label map another build replaced before the manifest named it.

  Raises:
    errors.DataError: that happened.
  """
  found = label_map.labels_of(record_set)
  if found != tuple(label.strip() for label in classes):
    path = manifest.path_of(record_set.directory, record_set.split)
    os.remove(path)
    raise errors.DataError(
        "labels-differ", path, f"another build wrote {len(found or ())} other labels meanwhile",
        f"the {len(classes)} of this build",
        "Build the splits one after another, or with the same --labels.")


def _reason(source: raw.Source, picture: encoding.Encoded) -> int:
  """Why a picture is left out, a code of `reasons`, or -1."""
  if picture.reason < 0 and source.objects is not None and source.objects.size is not None:
    if source.objects.size != (picture.height, picture.width):
      return reasons.SIZE_MISMATCH
  return picture.reason


def _example(
    source: raw.Source, picture: encoding.Encoded, classes: dict[str, int],
    placed: placed_boxes.PlacedBoxes | None,
) -> bytes:
  confidences = None if all(c == 1.0 for c in source.confidences) else source.confidences
  for label in source.labels:
    if label not in classes:  # the second pass differs from the first, or there was none
      raise _unknown_label(label, source.where, classes)
  labels, objects = source.labels, {}
  if placed is not None and source.objects is not None:
    objects, names = placed.place(source.objects, picture.height, picture.width)
    placed.check(source.where)
    objects["object_labels"] = [classes[name] for name in names]
    labels = tuple(label for label in labels if label in names)
  indices = [classes[label] for label in labels]
  if picture.mask is not None:
    indices, objects = picture.mask.classes, {"segmentation": picture.mask.data}
  return schema.encode(
      source.picture_id, picture.data, picture.image_format, picture.height, picture.width,
      indices, confidences, **objects,
  )
