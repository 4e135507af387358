"""Pictures and boxes of a detection set that TensorFlow Datasets has prepared, as `coco/2017`.

Such a set has a sequence of `bbox` and `label`, named `objects` where nothing else is said. As in
`tfds_sets`, nothing is downloaded, no generating code is imported, and pictures stay the bytes that
the set stores.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from jft_reps import errors
from jft_reps.data.sources import raw
from jft_reps.data.sources.tfds import folders, sets

OBJECTS, _IMAGE, _NUMBER, _FILE = "objects", "image", "image/id", "image/filename"
_FIELDS = ("bbox", "label", "is_crowd", "is_group_of", "is_difficult", "area")
# Of the ids 1 to 90, COCO 2014 and 2017 annotate all but these.
_COCO_UNUSED = frozenset((12, 26, 29, 30, 45, 66, 68, 69, 71, 83))


@dataclasses.dataclass(frozen=True)
class TfdsBoxes:
  """One split of a prepared detection set.

  Attributes:
    name: `name[/config]:version`.
    split: as TFDS writes it, such as `train[:90%]`.
    labels: names of the classes in the set's own order.
    category_ids: COCO's ids of the labels; None for other sets.
  """

  name: str
  split: str
  labels: tuple[str, ...]
  category_ids: tuple[int, ...] | None
  _builder: Any = dataclasses.field(repr=False)
  _objects: str = OBJECTS

  def read(self) -> Iterator[raw.Source]:
    """Every picture with its bytes and boxes; a few are in memory at once.

    Ids are those of COCO (`image/id`), the file's name without its ending where there is
    `image/filename` (VOC), else those that TFDS gives.

    Raises:
      errors.DataError: a shard is missing or broken, a label is no class, a box not finite.
    """
    import tensorflow_datasets as tfds

    features = self._builder.info.features
    fields = [f for f in _FIELDS if f in features[self._objects].feature]
    wanted: dict[str, Any] = {_IMAGE: True, self._objects: dict.fromkeys(fields, True)}
    wanted.update((key, True) for key in (_NUMBER, _FILE) if key in features)
    with sets.reading(self.name, self.split):
      skip = {_IMAGE: tfds.decode.SkipDecoding()}
      for example in sets.examples(
          self._builder, self.split, wanted, skip).as_numpy_iterator():
        where = f"tfds:{self.name} {self.split} {errors.printable(example[sets.TFDS_ID])}"
        objects = self._objects_of(example[self._objects], where)
        labels = tuple(dict.fromkeys(objects.labels))
        yield raw.Source(_id_of(example), "", labels, (1.0,) * len(labels), where,
                         bytes(example[_IMAGE]), objects)

  def _objects_of(self, value: dict[str, Any], where: str) -> raw.Objects:
    boxes, labels = value["bbox"], value["label"].tolist()
    if not np.isfinite(boxes).all():
      raise errors.DataError("tfds-box", where, "a box that is not finite", "numbers in [0, 1]")
    for label in labels:
      if not 0 <= label < len(self.labels):
        raise errors.DataError(
            "no-label", where, f"label {label}", f"a class from 0 to {len(self.labels) - 1}")
    none = [False] * len(labels)
    crowd = value.get("is_crowd", value.get("is_group_of", none))
    return raw.Objects(
        boxes, tuple(self.labels[i] for i in labels), tuple(c == 1 for c in crowd),  # -1: unknown
        tuple(value.get("is_difficult", none)),
        tuple(value.get("area", [math.nan] * len(labels))), normalised=True,
        # TFDS divides what VOC writes by the sides, pixels counted from 1.
        one_based=self.name.startswith("voc/"))


def _id_of(example: dict[str, Any]) -> str:
  if _NUMBER in example:
    return str(int(example[_NUMBER]))
  if _FILE in example:
    return os.path.splitext(bytes(example[_FILE]).decode("utf-8", "backslashreplace"))[0]
  return bytes(example[sets.TFDS_ID]).decode("utf-8", "backslashreplace")


def has_boxes(builder: Any, objects: str = OBJECTS) -> bool:
  """Whether a prepared set, of `tfds_sets.open_builder`, has boxes in a sequence."""
  import tensorflow_datasets as tfds

  features = dict(builder.info.features.items())
  inner = getattr(features.get(objects), "feature", None)
  fields = dict(inner.items()) if isinstance(inner, tfds.features.FeaturesDict) else {}
  return _IMAGE in features and isinstance(
      fields.get("bbox"), tfds.features.BBoxFeature) and isinstance(
      fields.get("label"), tfds.features.ClassLabel)


def open_split(
    spec: str, data_dir: str | os.PathLike, split: str = "train", objects: str = OBJECTS
) -> TfdsBoxes | None:
  """Opens a split of a prepared set; None where it has no boxes.

  Args:
    spec: `name[/config][:version]`, such as `coco/2017` or `voc/2007`.
    data_dir: directory in which TFDS prepared it.
    split: split or slice of TFDS, such as `train[:90%]`.
    objects: the sequence with the boxes, `bobjects` in `open_images_v4`.

  Raises:
    errors.DataError: the set is not prepared or unreadable, or there is no such split.
  """
  found = folders.find(spec, data_dir)
  builder = sets.open_builder(found, split)
  with sets.reading(str(found), split):
    if not has_boxes(builder, objects):
      return None
    label = builder.info.features[objects].feature["label"]
    names = sets.class_names(label, found.path, f"{objects}/label")
    ids = tuple(sorted(set(range(1, 91)) - _COCO_UNUSED))
    coco = found.name == "coco" and len(names) == len(ids)
    return TfdsBoxes(str(found), split, names, ids if coco else None, builder, objects)
