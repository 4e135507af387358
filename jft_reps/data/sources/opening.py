"""Opens a source of pictures by its name: one line here for each, all else is in its own file."""

from __future__ import annotations

import importlib
import inspect
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
    TFDS: "tfds.opening:open_prepared",
}


def open_source(name: str, **arguments: Any) -> Opened:
  """Opens the pictures of a source.

  Args:
    name: a key of `_SOURCES`, or `tfds:NAME[/config][:version]`.
    **arguments: by name, of which a source takes those that its function has: `input`, a folder,
      list or file, or several with commas; `annotations`, likewise; `labels`, class ids in class
      order or None; `split`, of the records; and those that a source alone has.

  Raises:
    errors.ConfigError: no such source; an argument is missing or does not fit.
    errors.DataError: what was opened is wrong.
  """
  if arguments.get("keypoints") and name != "coco_keypoints":
    raise ConfigError("flags", "--keypoints", f"given with --source={printable(name)}",
                      "--source=coco_keypoints")
  if name.startswith(TFDS):
    arguments, name = {**arguments, "name": name.removeprefix(TFDS)}, TFDS
  if name not in _SOURCES:
    raise ConfigError("flags", "--source", printable(name),
                      f"{', '.join(_SOURCES)}NAME[/config][:version]")
  module, function = _SOURCES[name].split(":")
  opener = getattr(importlib.import_module(f"jft_reps.data.sources.{module}"), function)
  taken = inspect.signature(opener).parameters
  if any(arguments.get(key) and key not in taken for key in ("keep_ids", "leave_out_ids")):
    raise ConfigError("flags", "--keep_ids or --leave_out_ids", f"given for {name}",
                      "a source of COCO or of masks")
  return opener(**{key: value for key, value in arguments.items() if key in taken})
