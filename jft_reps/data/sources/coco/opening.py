"""COCO's files as a source of boxes, of people with keypoints, or of masks."""

from __future__ import annotations

from collections.abc import Sequence

from jft_reps.data.records import keypoint_schema
from jft_reps.data.sources import raw
from jft_reps.data.sources.coco import annotations as coco
from jft_reps.data.sources.opened import Opened, about_source, category_ids, required, several
from jft_reps.errors import ConfigError

_FILES = "JSON files in COCO's format"


def open_boxes(
    input: str, annotations: str | None = None, labels: Sequence[str] | None = None,
    keep_ids: str | None = None, leave_out_ids: str | None = None,
) -> Opened:
  """Boxes; classes are the categories by id.

  Args:
    input: folders of the pictures, one for each file or one for all.
    annotations: the JSON files.
    labels: classes in another order, or some of them.
    keep_ids, leave_out_ids: files with ids of pictures, one a line.
  """
  opened = coco.open_set(required(annotations, _FILES), several(input), keep_ids, leave_out_ids)
  labels = labels or opened.labels
  about = about_source("coco", **category_ids(labels, opened.labels, opened.category_ids))
  return Opened(opened.read, labels, {**about, "boxes": True})


def open_keypoints(
    input: str, annotations: str | None = None, labels: Sequence[str] | None = None,
    keep_ids: str | None = None, leave_out_ids: str | None = None, keypoints: str | None = None,
) -> Opened:
  """Boxes and keypoints; classes are the categories that have keypoints.

  Args:
    keypoints: schema, by name or a JSON file; None: COCO's.
    input, annotations, labels, keep_ids, leave_out_ids: as of `open_boxes`.
  """
  schema = keypoint_schema.read(keypoints or "coco")
  opened = coco.open_set(required(annotations, _FILES), several(input), keep_ids, leave_out_ids,
                         keypoints=schema)
  labels = labels or opened.labels
  if len(labels) != 1:
    raise ConfigError("flags", "--annotations", f"{len(labels)} categories with these keypoints",
                      "one kind of body", "Put each into files of its own.")
  about = about_source("coco_keypoints", **opened.left_out,
                       **category_ids(labels, opened.labels, opened.category_ids))
  return Opened(opened.read, labels, {**about, "keypoints": schema})


def open_masks(
    input: str, annotations: str | None = None, labels: Sequence[str] | None = None,
    keep_ids: str | None = None, leave_out_ids: str | None = None,
) -> Opened:
  """Outlines, drawn; classes are background and all categories. Arguments as of `open_boxes`."""
  opened = coco.open_set(required(annotations, _FILES), several(input), keep_ids, leave_out_ids,
                         masks=True)
  if tuple(labels or opened.labels) != opened.labels:
    raise ConfigError("flags", "--labels", f"{len(labels or ())} labels",
                      f"{raw.BACKGROUND} and the {len(opened.labels) - 1} categories by id",
                      "Leave the flag out.")
  about = about_source("coco_masks", category_ids=list(opened.category_ids))
  return Opened(opened.read, opened.labels, {**about, "masks": True})
