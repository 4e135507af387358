"""Pictures and boxes, keypoints or masks of annotation files in COCO's format (Lin et al. 2014).

Only `images`, `categories` and `annotations` are looked at. A box comes from `bbox` (x, y, width,
height in pixels, from the outer edge of the first one), its area from `area`; outlines are passed
over where boxes are read, and boxes where outlines are. Keypoints come with boxes.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jft_reps import errors
from jft_reps.data.records import keypoint_schema
from jft_reps.data.sources import raw
from jft_reps.data.sources.coco import files, ids, outlines
from jft_reps.data.sources.coco import keypoints as coco_keypoints


@dataclasses.dataclass(frozen=True)
class _Picture:
  image_id: int
  path: str
  folder: str
  file: str
  size: tuple[int, int] | None
  objects: list[tuple | raw.Outline] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class CocoSet:
  """Checked annotations; pictures are not opened yet.

  Attributes:
    labels: names of the categories, in order of their ids; of masks, `background` before them.
    category_ids: those ids, which may have holes.
    masks: pictures have outlines instead of boxes.
    keypoints: schema of the points that boxes come with, or None.
    left_out: of a set with keypoints, how much was passed over, by what it is.
    count: number of pictures.
  """

  labels: tuple[str, ...]
  category_ids: tuple[int, ...]
  masks: bool
  keypoints: keypoint_schema.KeypointSchema | None
  left_out: dict[str, int]
  _pictures: tuple[_Picture, ...] = dataclasses.field(repr=False)

  @property
  def count(self) -> int:
    return len(self._pictures)

  def read(self) -> Iterator[raw.Source]:
    """Every picture with its boxes or outlines, in order of id; those without any too.

    Raises:
      errors.DataError: a `file_name` leaves the folder of pictures.
    """
    for picture in self._pictures:
      where = f"{picture.path} image {picture.image_id}"
      path = raw.inside(picture.folder, picture.file, where)
      if self.masks:
        mask = raw.Mask("", tuple(
            one for one in picture.objects if isinstance(one, raw.Outline)), picture.size)
        yield raw.Source(str(picture.image_id), path, (), (), where, mask=mask)
        continue
      boxes, labels, crowd, area, points = (
          zip(*picture.objects) if picture.objects else ((),) * 5)
      names = tuple(self.labels[i] for i in labels)
      keypoints = None
      if self.keypoints is not None:
        keypoints = np.reshape(points, (-1, self.keypoints.count, 3))
      objects = raw.Objects(
          np.reshape(boxes, (-1, 4)), names, crowd, (False,) * len(names), area, picture.size,
          keypoints=keypoints)
      present = tuple(dict.fromkeys(names))
      yield raw.Source(
          str(picture.image_id), path, present, (1.0,) * len(present), where, None, objects)


def open_set(
    annotations: Sequence[str | os.PathLike],
    folders: Sequence[str | os.PathLike],
    keep: str | os.PathLike | None = None,
    leave_out: str | os.PathLike | None = None,
    masks: bool = False,
    keypoints: keypoint_schema.KeypointSchema | None = None,
) -> CocoSet:
  """Reads and checks annotation files, which become one set.

  Args:
    annotations: JSON files of the same categories; `annotations` may be missing in one (COCO's
      `image_info_*`), then its pictures have no boxes.
    folders: of the pictures, one per file, or one for all.
    keep: file with the ids of the pictures to keep, one per line; all of them must be there.
    leave_out: file with the ids of pictures to leave out.
    masks: read outlines instead of boxes.
    keypoints: read points of this schema with the boxes. Categories without keypoints are left
      out then with their annotations, and an image that is listed again as it was is one.

  Raises:
    errors.DataError: names the file and the annotation, image, category or line that is wrong.
    errors.ConfigError: not as many folders as files.
  """
  folders = list(folders) * (len(annotations) if len(folders) == 1 else 1)
  if len(folders) != len(annotations):
    raise errors.ConfigError(
        "coco-folders", "coco", f"{len(annotations)} annotation files, {len(folders)} folders",
        "a folder per file, or one for all")
  categories: dict[int, str] = {}
  opened = False
  pictures: dict[int, _Picture] = {}
  passed: collections.Counter = collections.Counter()
  one = outlines.outline if masks else functools.partial(_box, schema=keypoints)
  for path, folder in zip([os.fspath(a) for a in annotations], [os.fspath(f) for f in folders],
                          strict=True):
    if not os.path.isdir(folder):
      raise errors.DataError("missing-folder", folder, "no such folder", f"pictures of {path}")
    content = files.load(path, masks)
    found = _categories(content, path)
    other = set() if keypoints is None else coco_keypoints.without(content, path, keypoints)
    passed["categories_without_keypoints"] += len(other)
    found = {category: name for category, name in found.items() if category not in other}
    if opened and categories != found:
      raise errors.DataError("coco-categories", path, "other categories than in the first file",
                             "the same ids and names in all of one set")
    categories, opened = found, True
    _add_pictures(pictures, content, path, folder, None if keypoints is None else passed)
    index: dict[int, int | None] = dict.fromkeys(other)
    index |= {category: i for i, category in enumerate(found, 1 if masks else 0)}
    passed["annotations_without_keypoints"] += _add_annotations(
        pictures, content, path, index, "segmentation" if masks else "bbox", one)
  labels = tuple(categories.values())
  if masks:
    if raw.BACKGROUND in labels:
      raise errors.DataError(
          "coco-category", annotations[0], f"a category {raw.BACKGROUND!r}", "another name",
          "It is that of pixels without an object, which become class 0.")
    labels = (raw.BACKGROUND, *labels)
  chosen = ids.chosen(pictures, keep, leave_out)
  left_out = {name: count for name, count in passed.items() if count}
  return CocoSet(labels, tuple(categories), masks, keypoints, left_out,
                 tuple(pictures[image_id] for image_id in sorted(chosen)))


def _categories(content: dict[str, Any], path: str) -> dict[int, str]:
  """Name by id, in order of id."""
  found: dict[int, str] = {}
  for category, entry, where in files.identified(content, "categories", "category", path):
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
      raise errors.DataError(
          "coco-category", where, f"name {errors.printable(name)!r}", "a name of one line")
    found[category] = name.strip()
  if not found:
    raise errors.DataError("coco-category", path, "no category", "at least one")
  first: dict[str, int] = {}
  for category, name in found.items():
    if first.setdefault(name, category) != category:
      raise errors.DataError(
          "coco-category", f"{path} category {category}",
          f"name {errors.printable(name)!r}, which category {first[name]} has", "unique names")
  return dict(sorted(found.items()))


def _add_pictures(
    pictures: dict[int, _Picture], content: dict[str, Any], path: str, folder: str,
    repeats: collections.Counter | None,
) -> None:
  for image, entry, where in files.identified(content, "images", "image", path, repeats):
    if image in pictures:
      raise errors.DataError(
          "coco-image", where, f"the id is in {pictures[image].path} already", "unique ids")
    file = entry.get("file_name")
    if not isinstance(file, str) or not file or "\0" in file:
      raise errors.DataError(
          "coco-image", where, f"file_name {errors.printable(file)!r}", "name of a file")
    height, width = entry.get("height"), entry.get("width")
    size = None
    if (height, width) != (None, None):
      if not (files.is_whole(height) and files.is_whole(width) and height > 0 and width > 0):
        raise errors.DataError(
            "coco-image", where, f"height and width {errors.printable((height, width))}",
            "pixels, both above 0")
      size = height, width
    pictures[image] = _Picture(image, path, folder, file, size)


def _add_annotations(
    pictures: dict[int, _Picture], content: dict[str, Any], path: str,
    index: dict[int, int | None], place: str, one: Callable[..., tuple | raw.Outline],
) -> int:
  """Gives pictures their objects; returns how many were of a category whose index is None."""
  if "annotations" not in content:
    return 0
  needed, other = ("image_id", "category_id", place), 0
  for _, entry, where in files.identified(content, "annotations", "annotation", path):
    for key in needed:
      if key not in entry:
        raise errors.DataError("coco-annotation", where, f"no {key}", ", ".join(needed))
    image, category = entry["image_id"], entry["category_id"]
    picture = pictures.get(image) if files.is_whole(image) else None
    if picture is None or picture.path != path:
      raise errors.DataError(
          "coco-annotation", where, f"image_id {errors.printable(image)!r}", "the id of an image")
    if not files.is_whole(category) or category not in index:
      raise errors.DataError(
          "coco-annotation", where, f"category_id {errors.printable(category)!r}",
          f"one of the {len(index)} categories")
    if index[category] is None:
      other += 1
    else:
      picture.objects.append(one(entry, index[category], where))
  return other


def _box(
    entry: dict[str, Any], label: int, where: str,
    schema: keypoint_schema.KeypointSchema | None = None,
) -> tuple:
  """(box as ymin, xmin, ymax, xmax, class index, crowd, area, points or None)."""
  box, crowd = entry["bbox"], entry.get("iscrowd", 0)
  if not isinstance(box, list) or len(box) != 4 or not all(map(files.is_pixels, box)):
    raise errors.DataError(
        "coco-annotation", where, f"bbox {errors.printable(box)}", "x, y, width, height as numbers")
  x, y, width, height = box
  area = entry.get("area", max(width, 0) * max(height, 0))
  if not isinstance(area, (int, float)) or not 0 <= area < files.LARGEST**2:
    raise errors.DataError(
        "coco-annotation", where, f"area {errors.printable(area)}", "pixels, 0 or more")
  if crowd not in (0, 1):
    raise errors.DataError(
        "coco-annotation", where, f"iscrowd {errors.printable(crowd)!r}", "0 or 1")
  points = None if schema is None else coco_keypoints.points(entry, schema.count, where)
  return (y, x, y + height, x + width), label, bool(crowd), float(area), points
