"""The noise sheet of a class: its pictures, seen by a backbone, from typical to strange."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from jft_reps import whole_files
from jft_reps.errors import ConfigError, DataError, printable
from jft_reps.workflows import weights

if TYPE_CHECKING:
  from jft_reps.data.hierarchy.graph import Hierarchy
  from jft_reps.data.records.manifest import RecordSet
  from jft_reps.models.pretrained.source import WeightSource
  from jft_reps.ops.images import CenterCrop

_RESIZE, _CROP = 340, 299  # of the paper, section 4.1, where the weights do not tell


class Drawn(NamedTuple):
  """A sheet that was written.

  Attributes:
    name: of the class.
    pictures: on the list beside the sheet.
    nearest: smallest distance of a picture to its centroid.
    farthest: largest one.
    sheet: path of the PNG.
    listing: path of the CSV.
  """

  name: str
  pictures: int
  nearest: float
  farthest: float
  sheet: str
  listing: str


def draw(
    records: str | os.PathLike, split: str, label: str, checkpoint: str | os.PathLike,
    output: str | os.PathLike, hierarchy: Hierarchy | None = None, *, limit: int = 2000,
    clusters: int = 4, rows: int = 8, columns: int = 10, resize: int | None = None,
    crop: int | None = None, seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Drawn:
  """Draws the pictures of a class and lists them.

  Args:
    records: folder of the record set.
    split: its name.
    label: id of the class.
    checkpoint: run directory, checkpoint or weight file of the backbone.
    output: the PNG; the list goes beside it, with the ending .csv.
    hierarchy: whose nodes are the classes: pictures of all classes below count too.
    limit: pictures at most.
    clusters: centroids.
    rows: steps of distance.
    columns: pictures in a row.
    resize: side that pictures are resized to; None: as the run's, else the paper's.
    crop: side of the centre crop; None: likewise.
    seed: of k-means.
    progress: called as `progress(pictures found, limit)`.

  Raises:
    errors.DataError: no such class, or no picture carries it; the records are damaged.
    errors.ConfigError: the crop is larger than what it is cut from.
    errors.StorageError: the checkpoint cannot be read, or the sheet not written.
  """
  from jft_reps.collection.labels import noise_sheet
  from jft_reps.data.records import manifest
  from jft_reps.workflows import embedding

  record_set = manifest.load(records, split)
  num_classes, classes, name = _classes(record_set, label, hierarchy)
  source = weights.open_source(pathlib.Path(checkpoint))
  picture = _picture(source, resize, crop)
  members = noise_sheet.collect(
      record_set, num_classes, classes, embedding.averaged_conv5(source, picture.crop), picture,
      limit, progress=progress)
  arranged = noise_sheet.arrange(members.features, clusters, rows, seed)
  folder, file = os.path.split(os.fspath(output))
  sheet, listing = whole_files.write_all(folder or ".", {
      file: noise_sheet.draw(members, arranged, f"{name} in {split}", columns),
      f"{os.path.splitext(file)[0]}.csv": noise_sheet.table(members, arranged).encode(
          "utf-8", "backslashreplace")})
  return Drawn(name, len(members.ids), float(arranged.edges[0]), float(arranged.edges[-1]),
               sheet, listing)


def _classes(
    record_set: RecordSet, wanted: str, hierarchy: Hierarchy | None
) -> tuple[int, list[int], str]:
  """(number of classes, indices of the class and all below it, its name)."""
  from jft_reps.collection.subsets import choice
  from jft_reps.data.records import label_map

  if hierarchy is not None:
    choice.vocabulary(record_set, hierarchy)
    below = [hierarchy.index(one) for one in (wanted, *hierarchy.descendants(wanted))]
    return len(hierarchy), below, hierarchy.name(wanted)
  labels = label_map.labels_of(record_set)
  if labels is None or wanted not in labels:
    raise DataError("unknown-class", "--class", printable(wanted),
                    "an id of labels.txt beside the records", "Names are no ids.")
  return len(labels), [labels.index(wanted)], wanted


def _picture(source: WeightSource, resize: int | None, crop: int | None) -> CenterCrop:
  """The centre crop of the run whose checkpoint it is, or the paper's."""
  from jft_reps.models.pretrained import own
  from jft_reps.ops import images

  noted = {}
  if source.format == own.FORMAT:
    noted = json.loads(bytes(source.tensors.read("preprocessing").item()))
  resize, crop = resize or noted.get("resize", _RESIZE), crop or noted.get("crop", _CROP)
  if crop > resize:
    raise ConfigError("flags", "--crop", str(crop), f"at most {resize}, the size it is cut from")
  return images.CenterCrop(resize, crop)
