"""What `--source` of build_records opens: pictures, their labels and what a build has to know."""

from __future__ import annotations

import functools
import logging as stdlib_logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags, logging

from jft_reps.errors import ConfigError, printable

if TYPE_CHECKING:
  from jft_reps.data.sources import raw

_KINDS = ("folder, csv, coco, coco_keypoints, voc, masks, voc_masks, coco_masks, imagenet or "
          "tfds:NAME[/config][:version]")

_TFDS, _NONE = "tfds:", "none"


class Opened(NamedTuple):
  """Pictures as `build.build` takes them.

  Attributes:
    read: gives the pictures, whenever it is called.
    labels: in class order; None: those that occur.
    about: what else `build.build` is told.
  """

  read: Callable[[], Iterable[raw.Source]]
  labels: Sequence[str] | None
  about: dict[str, Any]


def open_source(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Opens `--source`.

  Args:
    given: the flags of build_records.
    labels: of `--labels` or `--hierarchy`, or None.

  Raises:
    errors.ConfigError: a flag is missing or does not fit the source.
    errors.DataError: what was opened is wrong.
  """
  if given.keypoints and given.source != "coco_keypoints":
    raise ConfigError("flags", "--keypoints", f"given with --source={printable(given.source)}",
                      "--source=coco_keypoints")
  opener = _OPENERS.get(_TFDS if given.source.startswith(_TFDS) else given.source)
  if opener is None:
    raise ConfigError("flags", "--source", printable(given.source), _KINDS)
  if (given.keep_ids or given.leave_out_ids) and opener not in _LISTED:
    raise ConfigError("flags", "--keep_ids or --leave_out_ids", f"given for {given.source}",
                      "a source of COCO or of masks")
  return opener(given, labels)


def _folder(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  from jft_reps.data.sources import folder

  return Opened(functools.partial(folder.read, given.input), labels, _source("folder"))


def _csv(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  from jft_reps.data.sources import lists

  return Opened(functools.partial(lists.read, given.input, given.root), labels, _source("csv"))


def _imagenet(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  from jft_reps.data import imagenet

  part = imagenet.open_part(given.input, given.split)
  return Opened(part.read, labels or part.labels, _source("imagenet"))


def _source(name: str, **more: Any) -> dict[str, Any]:
  return {"metadata": {"source": name, **more}}


def _coco(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Boxes in COCO's format."""
  from jft_reps.data.sources import coco

  opened = coco.open_set(*_coco_files(given))
  labels = labels or opened.labels
  about = _source("coco", **_category_ids(labels, opened.labels, opened.category_ids))
  known = {"total": opened.count} if set(opened.labels) <= set(labels) else {}
  return Opened(opened.read, labels, {**about, "boxes": True, **known})


def _coco_keypoints(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Boxes and keypoints in COCO's format; classes are the categories that have keypoints."""
  from jft_reps.data.sources import coco
  from jft_reps.ops import keypoint_schema

  schema = keypoint_schema.read(given.keypoints or "coco")
  opened = coco.open_set(*_coco_files(given), keypoints=schema)
  labels = labels or opened.labels
  if len(labels) != 1:
    raise ConfigError("flags", "--annotations", f"{len(labels)} categories with these keypoints",
                      "one kind of body", "Put each into files of its own.")
  about = _source("coco_keypoints", **opened.left_out,
                  **_category_ids(labels, opened.labels, opened.category_ids))
  known = {"total": opened.count} if set(opened.labels) <= set(labels) else {}
  return Opened(opened.read, labels, {**about, "keypoints": schema, **known})


def _coco_masks(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Outlines in COCO's format, drawn; classes are background and all categories."""
  from jft_reps.data.sources import coco

  opened = coco.open_set(*_coco_files(given), masks=True)
  if tuple(labels or opened.labels) != opened.labels:
    raise ConfigError("flags", "--labels", f"{len(labels or ())} labels",
                      f"{coco.BACKGROUND} and the {len(opened.labels) - 1} categories by id",
                      "Leave the flag out.")
  about = _source("coco_masks", category_ids=list(opened.category_ids))
  return Opened(opened.read, opened.labels, {**about, "masks": True, "total": opened.count})


def _coco_files(given: flags.FlagValues) -> tuple:
  """What `coco.open_set` is told."""
  if not given.annotations:
    raise ConfigError("flags", "--annotations", "missing", "JSON files in COCO's format")
  return (given.annotations.split(","), given.input.split(","), given.keep_ids,
          given.leave_out_ids)


def _category_ids(
    labels: Sequence[str], names: Sequence[str], ids: Sequence[int] | None
) -> dict[str, Any]:
  """The ids by which COCO knows the classes, for the manifest; nothing where it knows not all."""
  known = dict(zip(names, ids)) if ids else {}
  return {"category_ids": [known[label] for label in labels]} if set(labels) <= set(known) else {}


def _voc(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
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
  about = _source("voc", **({"voc_set": given.voc_set or given.split} if listed else {}))
  return Opened(lambda: iter(found), labels or voc.LABELS, {**about, "boxes": True})


def _masks(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Folders of pictures and of masks."""
  if labels is None:
    raise ConfigError("flags", "--labels", "missing", "the classes in order of their indices")
  if not given.annotations:
    raise ConfigError("flags", "--annotations", "missing", "folders of masks, or none")
  return _masked(given, labels, given.input.split(","), given.annotations.split(","),
                 given.keep_ids)


def _voc_masks(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Masks of a VOC devkit, whose own folders `--annotations` may name without their path.

  Without lists, every mask is read, as `_voc` reads every annotation.
  """
  from jft_reps.data.sources import coco, voc

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
  about = _source(given.source, unused_pictures=opened.unused, **more)
  return Opened(opened.read, labels, {**about, "masks": True, "total": opened.count})


def _tfds(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """A set that TFDS has prepared."""
  from jft_reps.data.sources import tfds_boxes, tfds_sets

  name, split = given.source.removeprefix(_TFDS), given.tfds_split or given.split
  logging.set_verbosity(logging.ERROR)  # TFDS and TensorFlow warn of their own deprecations
  stdlib_logging.getLogger("tensorflow").setLevel(stdlib_logging.ERROR)
  if given.tfds_label is None:
    boxes = tfds_boxes.open_split(name, given.input, split)
    if boxes is not None:
      if given.tfds_id:
        raise ConfigError("flags", "--tfds_id", "given for a set with boxes", "its own ids",
                          "Name --tfds_label to leave boxes out.")
      labels = labels or boxes.labels
      about = _source(f"tfds:{boxes.name}", tfds_split=boxes.split,
                      **_category_ids(labels, boxes.labels, boxes.category_ids))
      known = {"total": boxes.count} if set(boxes.labels) <= set(labels) else {}
      return Opened(boxes.read, labels, {**about, "boxes": True, **known})
  opened = tfds_sets.open_split(name, given.input, split, given.tfds_label, given.tfds_id)
  labels = labels or opened.labels
  about = _source(f"tfds:{opened.name}", tfds_split=opened.split)
  return Opened(opened.read, labels, {**about, **opened.first_pass(labels)})


_OPENERS = {"folder": _folder, "csv": _csv, "imagenet": _imagenet, "coco": _coco,
            "coco_keypoints": _coco_keypoints, "voc": _voc, "masks": _masks,
            "voc_masks": _voc_masks, "coco_masks": _coco_masks, _TFDS: _tfds}
_LISTED = (_coco, _coco_keypoints, _masks, _voc_masks, _coco_masks)
