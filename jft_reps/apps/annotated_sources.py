"""The sources of build_records whose annotations say what lies where: boxes, keypoints, masks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from absl import flags

from jft_reps.data.sources.opened import Opened, about_source, category_ids
from jft_reps.errors import ConfigError

_NONE = "none"


def coco(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Boxes in COCO's format."""
  from jft_reps.data.sources.coco import annotations as coco

  opened = coco.open_set(*_coco_files(given))
  labels = labels or opened.labels
  about = about_source(
      "coco", **category_ids(labels, opened.labels, opened.category_ids))
  return Opened(opened.read, labels, {**about, "boxes": True})


def coco_keypoints(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Boxes and keypoints in COCO's format; classes are the categories that have keypoints."""
  from jft_reps.data.records import keypoint_schema
  from jft_reps.data.sources.coco import annotations as coco

  schema = keypoint_schema.read(given.keypoints or "coco")
  opened = coco.open_set(*_coco_files(given), keypoints=schema)
  labels = labels or opened.labels
  if len(labels) != 1:
    raise ConfigError("flags", "--annotations", f"{len(labels)} categories with these keypoints",
                      "one kind of body", "Put each into files of its own.")
  about = about_source("coco_keypoints", **opened.left_out,
                  **category_ids(labels, opened.labels, opened.category_ids))
  return Opened(opened.read, labels, {**about, "keypoints": schema})


def coco_masks(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Outlines in COCO's format, drawn; classes are background and all categories."""
  from jft_reps.data.sources.coco import annotations as coco

  opened = coco.open_set(*_coco_files(given), masks=True)
  if tuple(labels or opened.labels) != opened.labels:
    raise ConfigError("flags", "--labels", f"{len(labels or ())} labels",
                      f"{coco.BACKGROUND} and the {len(opened.labels) - 1} categories by id",
                      "Leave the flag out.")
  about = about_source("coco_masks", category_ids=list(opened.category_ids))
  return Opened(opened.read, opened.labels, {**about, "masks": True})


def _coco_files(given: flags.FlagValues) -> tuple:
  """What `coco.open_set` is told."""
  if not given.annotations:
    raise ConfigError("flags", "--annotations", "missing", "JSON files in COCO's format")
  return (given.annotations.split(","), given.input.split(","), given.keep_ids,
          given.leave_out_ids)


def voc(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Boxes of VOC devkits."""
  from jft_reps.data.sources import voc

  roots = given.input.split(",")
  if given.annotations:
    folders = given.annotations.split(",")
    if len(roots) != len(folders):
      raise ConfigError("flags", "--annotations", f"{len(folders)} folders",
                        f"{len(roots)}, one per folder of pictures")
    devkits = [voc.Devkit(*pair) for pair in zip(folders, roots)]
  else:
    devkits = [voc.Devkit.at(root) for root in roots]
  listed = any(devkit.image_sets for devkit in devkits)
  found = voc.read(devkits, given.voc_set or (given.split if listed else None))
  about = about_source("voc", **({"voc_set": given.voc_set or given.split} if listed else {}))
  return Opened(lambda: iter(found), labels or voc.LABELS, {**about, "boxes": True})


def masks(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Folders of pictures and of masks."""
  if labels is None:
    raise ConfigError("flags", "--labels", "missing", "the classes in order of their indices")
  if not given.annotations:
    raise ConfigError("flags", "--annotations", "missing", "folders of masks, or none")
  return _masked(given, labels, given.input.split(","), given.annotations.split(","),
                 given.keep_ids)


def voc_masks(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Masks of a VOC devkit, whose own folders `--annotations` may name without their path.

  Without lists, every mask is read, as `_voc` reads every annotation.
  """
  from jft_reps.data.sources import voc
  from jft_reps.data.sources.coco import annotations as coco

  folders = []
  for name in (given.annotations or "SegmentationClass").split(","):
    own = os.path.join(given.input, name)
    folders.append(own if name != _NONE and os.path.isdir(own) else name)
  lists = os.path.join(given.input, "ImageSets", "Segmentation")
  names, more = given.keep_ids, {}
  if not names and (given.voc_set or os.path.isdir(lists)):
    more = {"voc_set": given.voc_set or given.split}
    names = voc.list_path(lists, more["voc_set"])
  return _masked(
      given, labels or (coco.BACKGROUND, *voc.LABELS), [os.path.join(given.input, "JPEGImages")],
      folders, names, **more)


def _masked(
    given: flags.FlagValues, labels: Sequence[str], pictures: list[str], masks: list[str],
    names: str | None, **more: Any,
) -> Opened:
  from jft_reps.data.sources import mask_folders

  opened = mask_folders.open_set(
      pictures, [] if masks == [_NONE] else masks, names, given.leave_out_ids)
  about = about_source(given.source, unused_pictures=opened.unused, **more)
  return Opened(opened.read, labels, {**about, "masks": True})
