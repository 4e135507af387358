"""A set that TFDS has prepared, as a source of labels or of boxes."""

from __future__ import annotations

import logging as stdlib_logging
from collections.abc import Sequence

from absl import logging

from jft_reps.data.sources.opened import Opened, about_source, category_ids
from jft_reps.data.sources.tfds import boxes, sets
from jft_reps.errors import ConfigError


def open_prepared(
    input: str, name: str, split: str, labels: Sequence[str] | None = None,
    tfds_split: str | None = None, tfds_label: str | None = None, tfds_id: str | None = None,
) -> Opened:
  """Labels, or boxes where the set has some. Nothing is downloaded.

  Args:
    input: directory in which TFDS prepared it.
    name: `NAME[/config][:version]`.
    split: of the records, and of TFDS where `tfds_split` names none.
    labels: in place of the set's.
    tfds_split: split or slice, as `train[:90%]`.
    tfds_label: feature of the classes, or of the boxes.
    tfds_id: feature that names pictures; None: the set's ids.
  """
  split = tfds_split or split
  logging.set_verbosity(logging.ERROR)  # TFDS and TensorFlow warn of their own deprecations
  stdlib_logging.getLogger("tensorflow").setLevel(stdlib_logging.ERROR)
  with_boxes = boxes.open_split(name, input, split, tfds_label or boxes.OBJECTS)
  if with_boxes is not None:
    if tfds_id:
      raise ConfigError("flags", "--tfds_id", "given for a set with boxes", "its own ids",
                        "Name --tfds_label to leave boxes out.")
    labels = labels or with_boxes.labels
    about = about_source(
        f"tfds:{with_boxes.name}", tfds_split=with_boxes.split,
        **category_ids(labels, with_boxes.labels, with_boxes.category_ids))
    return Opened(with_boxes.read, labels, {**about, "boxes": True})
  opened = sets.open_split(name, input, split, tfds_label, tfds_id)
  about = about_source(f"tfds:{opened.name}", tfds_split=opened.split)
  return Opened(opened.read, labels or opened.labels, about)
