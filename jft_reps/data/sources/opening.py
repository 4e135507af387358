"""Opens a source of pictures by its name: one line here for each, all else is in its own file."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from typing import Any

from jft_reps.data.sources.opened import Opened
from jft_reps.errors import ConfigError, printable

TFDS = "tfds:"

# Where each is opened: `module:function` below this package. Modules load TensorFlow, SciPy or
# TFDS, so the one that is asked for is imported and no other.
_SOURCES = {
    "folder": "folder:open_folder",
    "csv": "lists:open_list",
    "open_images": "open_images.labels:open_labels",
    "open_images_boxes": "open_images.labels:open_boxes",
    "imagenet": "imagenet.ilsvrc:open_ilsvrc",
    "imagenet21k": "imagenet.tars:open_tars",
    "mlimages": "mlimages.lists:open_lists",
    "mlimages_records": "mlimages.records:open_records",
    "coco": "coco.opening:open_boxes",
    "coco_keypoints": "coco.opening:open_keypoints",
    "coco_masks": "coco.opening:open_masks",
    "masks": "mask_folders:open_masks",
    "voc_masks": "voc:open_masks",
    "voc": "voc:open_boxes",
}
_PREPARED = "tfds.opening:open_prepared"  # by TFDS: any name that begins so


def open_source(name: str, input: str, *, labels: Sequence[str] | None = None,
                split: str = "train", **options: Any) -> Opened:
  """Opens the pictures of a source.

  Args:
    name: a key of `_SOURCES`, or `tfds:NAME[/config][:version]`.
    input: a folder, list or file, or several with commas.
    labels: class ids in class order; None: those of the source.
    split: name of the records, by which some sources choose their part.
    **options: by name, of which a source takes those that its function has, such as `annotations`.

  Raises:
    errors.ConfigError: no such source; an argument is missing or does not fit.
    errors.DataError: what was opened is wrong.
  """
  if options.get("keypoints") and name != "coco_keypoints":
    raise ConfigError("flags", "--keypoints", f"given with --source={printable(name)}",
                      "--source=coco_keypoints")
  opened_by = _PREPARED if name.startswith(TFDS) else _SOURCES.get(name)
  if opened_by is None:
    raise ConfigError("flags", "--source", printable(name),
                      ", ".join([*_SOURCES, f"{TFDS}NAME[/config][:version]"]))
  module, function = opened_by.split(":")
  opener = getattr(importlib.import_module(f"jft_reps.data.sources.{module}"), function)
  taken = inspect.signature(opener).parameters
  if any(options.get(option) and option not in taken for option in ("keep_ids", "leave_out_ids")):
    raise ConfigError("flags", "--keep_ids or --leave_out_ids", f"given for {printable(name)}",
                      "a source of COCO or of masks")
  given = {**options, "labels": labels, "split": split, "name": name.removeprefix(TFDS)}
  return opener(input, **{key: value for key, value in given.items() if key in taken})
