"""Pictures of Open Images with the labels or boxes of its CSV files, joined by ImageID.

What people verified counts more than what machines guess: a verified label has confidence 1 or is
absent, whatever a machine says; other labels keep the machine's confidence.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import os
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from jft_reps import errors
from jft_reps.data.sources import file_tree, folder, joined, raw
from jft_reps.data.sources.open_images import rows as open_images_rows
from jft_reps.data.sources.opened import Opened, about_source, required, several

_PICTURE, _LABEL, _BOX = "p", "l", "b"


@dataclasses.dataclass(frozen=True)
class OpenImages:
  """Folders of pictures and files of annotations; rows are looked at by `read`.

  Attributes:
    folders: of pictures named `ImageID.jpg`, in sub-folders as well.
    annotations: CSV files.
    boxes: pictures have boxes.
    classes: the labels to keep; None: all.
    counts: what `read` found, by what it is; complete when it is through.
  """

  folders: tuple[str, ...]
  annotations: tuple[str, ...]
  boxes: bool
  classes: Collection[str] | None
  counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)

  def read(self) -> Iterator[raw.Source]:
    """Every picture that is in a folder and annotated, by its ImageID.

    Pictures without an annotation are left out, as it says nothing of them, and annotated
    pictures that are not there; both are counted. Where there are boxes, so are pictures that
    have none: the others were never searched for objects. Rows and names of pictures go through
    temporary files of their size (`joined.Join`).

    Raises:
      errors.DataError: a row is bad, or no picture is annotated; names file and line.
      errors.StorageError: temporary files could not be written.
    """
    self.counts.clear()
    with joined.Join() as join:
      for number, root in enumerate(self.folders):
        for name in _pictures(root):
          join.add(os.path.splitext(os.path.basename(name))[0], _PICTURE, str(number), name)
      for path in self.annotations:
        for row in open_images_rows.rows(path):
          _add(join, row)
      read = 0
      for image_id, rows in join.groups():
        source = self._source(image_id, rows)
        if source is not None:
          read += 1
          yield source
    if not read:
      raise errors.DataError(
          "no-pictures", ", ".join(self.folders), "no picture has an annotation: "
          + (", ".join(f"{n} {key.replace('_', ' ')}" for key, n in (+self.counts).items())
             or "no picture, no row"), "pictures named ImageID.jpg",
          "Are pictures, annotations and classes of one part of Open Images?")

  def _source(self, image_id: str, rows: list[list[str]]) -> raw.Source | None:
    """The picture of the rows of one id; None where it or its annotation is missing."""
    files = [cells[1:] for cells in rows if cells[0] == _PICTURE]
    if not files:
      self.counts["missing_pictures"] += 1
      return None
    stated = [cells for cells in rows if cells[0] != _PICTURE]
    known = [c for c in stated if self.classes is None or c[1] in self.classes]
    self.counts["rows_of_other_classes"] += len(stated) - len(known)
    if not any(not self.boxes or cells[0] == _BOX for cells in known):
      self.counts["pictures_without_boxes" if self.boxes else "pictures_without_labels"] += 1
      return None
    self.counts["repeated_pictures"] += len(files) - 1
    root = self.folders[int(files[0][0])]
    where = os.path.join(root, files[0][1])
    present, absent = self._verdicts(known)
    path, objects = raw.inside(root, files[0][1], where), None
    if self.boxes:
      objects = _objects([cells for cells in known if cells[0] == _BOX])
      self.counts["boxes"] += len(objects.labels)
      present = dict.fromkeys(objects.labels, 1.0)
    return raw.Source(image_id, path, tuple(present), tuple(present.values()), where, None,
                      objects, absent=absent)

  def _verdicts(self, stated: list[list[str]]) -> tuple[dict[str, float], tuple[str, ...]]:
    """(confidence by label, labels verified as absent) of one picture."""
    verified: dict[str, float] = {}
    guessed: dict[str, float] = {}
    for kind, label, *cells in stated:
      human, confidence = (True, 1.0) if kind == _BOX else (cells[0] == "1", float(cells[1]))
      found = verified if human else guessed
      found[label] = max(confidence, found.get(label, 0.0))
    absent = tuple(label for label, confidence in verified.items() if not confidence)
    merged = {label: c for label, c in {**guessed, **verified}.items() if c}
    if not self.boxes:
      self.counts["machine_labels"] += len(merged.keys() - verified.keys())
      self.counts["machine_labels_overridden"] += len(guessed.keys() & verified.keys())
      self.counts["human_labels"] += len(verified) - len(absent)
    self.counts["verified_absences"] += len(absent)
    return merged, absent


def open_set(
    folders: Sequence[str | os.PathLike],
    annotations: Sequence[str | os.PathLike],
    classes: Collection[str] | None = None,
    boxes: bool = False,
) -> OpenImages:
  """Looks at the first lines of the annotation files.

  Args:
    folders: of the pictures.
    annotations: CSV files of labels, of boxes, or of both, in any order.
    classes: labels to keep, such as those of a hierarchy; rows of others are counted.
    boxes: read boxes; where only files of boxes are given, they are read in any case. Else a
      box says that its class was verified as present.

  Raises:
    errors.DataError: a file or folder is missing, or the columns are others.
  """
  for root in folders:
    if not os.path.isdir(root):
      raise errors.DataError("missing-folder", root, "no such folder", "pictures of Open Images")
  have = [open_images_rows.has_boxes(path) for path in annotations]
  if boxes and not any(have):
    raise errors.DataError("open-images-columns", annotations[0], "no boxes in any file",
                           "a file with XMin,XMax,YMin,YMax")
  return OpenImages(
      tuple(os.fspath(f) for f in folders), tuple(os.fspath(a) for a in annotations),
      boxes or all(have),
      None if classes is None else frozenset(classes))


def _pictures(root: str) -> Iterator[str]:
  """Paths below `root` of its pictures, one directory after another without listing it whole."""
  waiting = [""]
  while waiting:
    below = waiting.pop()
    try:
      with os.scandir(os.path.join(root, below)) as entries:
        for entry in entries:
          name = os.path.join(below, entry.name)
          if entry.name.startswith(".") or not entry.name.isprintable():
            continue
          if entry.is_dir():
            file_tree.refuse_link(entry.path)
            waiting.append(name)
          elif entry.name.lower().endswith(folder.SUFFIXES):
            yield name
    except OSError as error:
      raise errors.DataError("unreadable-folder", os.path.join(root, below),
                             errors.printable(error.strerror), "a folder of pictures") from None


def _add(join: joined.Join, row: open_images_rows.Row) -> None:
  if row.box is None:
    join.add(row.image_id, _LABEL, row.label, str(int(row.human)), repr(row.confidence))
  elif row.confidence:
    join.add(row.image_id, _BOX, row.label, str(int(row.crowd)), *map(repr, row.box))


def _objects(rows: list[list[str]]) -> raw.Objects:
  labels = tuple(cells[1] for cells in rows)
  return raw.Objects(
      np.reshape([[float(side) for side in cells[3:]] for cells in rows], (-1, 4)), labels,
      tuple(cells[2] == "1" for cells in rows), (False,) * len(rows), (math.nan,) * len(rows),
      normalised=True)


def open_labels(
    input: str, annotations: str | None = None, labels: Sequence[str] | None = None,
    boxes: bool = False,
) -> Opened:
  """Image-level labels of Open Images; boxes, where only files of boxes are given."""
  files = required(annotations, "CSV files of Open Images")
  opened = open_set(several(input), files, labels, boxes)
  about = about_source("open_images", source_counts=opened.counts)
  return Opened(opened.read, labels, {**about, "boxes": opened.boxes})


def open_boxes(
    input: str, annotations: str | None = None, labels: Sequence[str] | None = None
) -> Opened:
  """Boxes of Open Images, also where there are labels too."""
  return open_labels(input, annotations, labels, boxes=True)
