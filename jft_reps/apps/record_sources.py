"""What `--source` of build_records opens: pictures, their labels and what a build has to know."""

from __future__ import annotations

import collections
import functools
import logging as stdlib_logging
from collections.abc import Sequence

from absl import flags, logging

from jft_reps.apps import annotated_sources
from jft_reps.data.sources.opened import Opened, about_source, category_ids
from jft_reps.errors import ConfigError, printable

_TFDS = "tfds:"


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
    raise ConfigError("flags", "--source", printable(given.source),
                      f"{', '.join(_OPENERS)}NAME[/config][:version]")
  if (given.keep_ids or given.leave_out_ids) and given.source not in _LISTED:
    raise ConfigError("flags", "--keep_ids or --leave_out_ids", f"given for {given.source}",
                      "a source of COCO or of masks")
  return opener(given, labels)


def _folder(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  from jft_reps.data.sources import folder

  return Opened(functools.partial(folder.read, given.input), labels, about_source("folder"))


def _csv(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  from jft_reps.data.sources import lists

  return Opened(functools.partial(lists.read, given.input, given.root), labels, about_source("csv"))


def _imagenet(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  from jft_reps.data.sources.imagenet import ilsvrc

  part = ilsvrc.open_part(given.input, given.split)
  return Opened(part.read, labels or part.labels, about_source("imagenet"))


def _imagenet21k(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  from jft_reps.data.sources.imagenet import tars

  opened = tars.open_set(given.input)
  about = about_source("imagenet21k", source_counts=opened.counts)
  return Opened(opened.read, labels or opened.labels, about)


def _open_images(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Image-level labels, or boxes, of Open Images."""
  from jft_reps.data.sources.open_images import labels as open_images

  opened = open_images.open_set(
      given.input.split(","), _annotations(given, "CSV files of Open Images"), labels,
      boxes=given.source.endswith("_boxes"))
  about = about_source("open_images", source_counts=opened.counts)
  return Opened(opened.read, labels, {**about, "boxes": opened.boxes})


def _mlimages(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """Lists of ML-Images with the pictures, or its records."""
  from jft_reps.data.sources.mlimages import lists as mlimages

  if labels is None:
    raise ConfigError("flags", "--hierarchy", "missing", "the classes that the numbers stand for",
                      "Give --hierarchy=dictionary_and_semantic_hierarchy.txt "
                      "--hierarchy_format=mlimages.")
  about = about_source(given.source)
  if given.source == "mlimages":
    lists = _annotations(given, "lists of ML-Images, as train_urls.txt")
    counts: collections.Counter = collections.Counter()
    about["metadata"]["source_counts"] = counts
    read = functools.partial(mlimages.read, given.input, lists, labels, counts)
    return Opened(read, labels, about)
  from jft_reps.data.sources.mlimages import records

  paths = records.files(given.input.split(","))
  return Opened(functools.partial(records.read, paths, labels), labels, about)


def _annotations(given: flags.FlagValues, expected: str) -> list[str]:
  if not given.annotations:
    raise ConfigError("flags", "--annotations", "missing", expected)
  return given.annotations.split(",")


def _tfds(given: flags.FlagValues, labels: Sequence[str] | None) -> Opened:
  """A set that TFDS has prepared."""
  from jft_reps.data.sources.tfds import boxes as tfds_boxes
  from jft_reps.data.sources.tfds import sets

  name, split = given.source.removeprefix(_TFDS), given.tfds_split or given.split
  logging.set_verbosity(logging.ERROR)  # TFDS and TensorFlow warn of their own deprecations
  stdlib_logging.getLogger("tensorflow").setLevel(stdlib_logging.ERROR)
  objects = given.tfds_label or tfds_boxes.OBJECTS
  boxes = tfds_boxes.open_split(name, given.input, split, objects)
  if boxes is not None:
    if given.tfds_id:
      raise ConfigError("flags", "--tfds_id", "given for a set with boxes", "its own ids",
                        "Name --tfds_label to leave boxes out.")
    labels = labels or boxes.labels
    about = about_source(
        f"tfds:{boxes.name}", tfds_split=boxes.split,
        **category_ids(labels, boxes.labels, boxes.category_ids))
    return Opened(boxes.read, labels, {**about, "boxes": True})
  opened = sets.open_split(name, given.input, split, given.tfds_label, given.tfds_id)
  labels = labels or opened.labels
  about = about_source(f"tfds:{opened.name}", tfds_split=opened.split)
  return Opened(opened.read, labels, about)


_LISTED = {"coco": annotated_sources.coco, "coco_keypoints": annotated_sources.coco_keypoints,
           "coco_masks": annotated_sources.coco_masks, "masks": annotated_sources.masks,
           "voc_masks": annotated_sources.voc_masks}
_OPENERS = {"folder": _folder, "csv": _csv, "open_images": _open_images,
            "open_images_boxes": _open_images, "imagenet": _imagenet,
            "imagenet21k": _imagenet21k, "mlimages": _mlimages, "mlimages_records": _mlimages,
            **_LISTED, "voc": annotated_sources.voc, _TFDS: _tfds}
