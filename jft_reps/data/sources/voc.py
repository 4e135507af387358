"""Pictures and boxes of PASCAL VOC devkits (Everingham et al. 2010), and where their lists are.

VOC names the first and last pixel of a box and counts from 1, so its xmin, ymin, xmax, ymax are
the edges xmin - 1, ymin - 1, xmax, ymax of the picture; records hold the edges.
"""

from __future__ import annotations

import dataclasses
import math
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from xml.parsers import expat

import numpy as np

from jft_reps import errors
from jft_reps.data.sources import folder, mask_folders, raw
from jft_reps.data.sources.opened import Opened, about_source, several

LABELS = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)
_LARGEST_FILE = 16 << 20
_CORNERS = ("ymin", "xmin", "ymax", "xmax")


@dataclasses.dataclass(frozen=True)
class Devkit:
  """Folders of one year of VOC, or of a set in its form.

  Attributes:
    annotations: folder of XML files.
    pictures: folder of the pictures, named as the XML files.
    image_sets: folder of the lists `<set>.txt`; None: every annotation is read.
  """

  annotations: str
  pictures: str
  image_sets: str | None = None

  @classmethod
  def at(cls, root: str | os.PathLike) -> Devkit:
    """A folder with Annotations, JPEGImages and, where there are lists, ImageSets/Main."""
    root = os.fspath(root)
    lists = os.path.join(root, "ImageSets", "Main")
    return cls(os.path.join(root, "Annotations"), os.path.join(root, "JPEGImages"),
               lists if os.path.isdir(lists) else None)


def read(devkits: Sequence[Devkit], image_set: str | None = None) -> list[raw.Source]:
  """Reads annotations; pictures are not opened.

  Args:
    devkits: of one or several years, whose file names must differ.
    image_set: such as `trainval`, in every devkit; None reads devkits without lists whole.

  Returns:
    A source per picture, its id the name of its file without the ending.

  Raises:
    errors.DataError: names the file, and the line or object, that is wrong or missing.
  """
  found: dict[str, raw.Source] = {}
  for devkit in devkits:
    for kind, path in (("annotations", devkit.annotations), ("pictures", devkit.pictures)):
      if not os.path.isdir(path):
        raise errors.DataError("missing-folder", path, "no such folder", f"the {kind} of a devkit")
    files = {os.path.splitext(name)[0]: name for name in sorted(os.listdir(devkit.pictures))
             if name.lower().endswith(folder.SUFFIXES)}
    for stem, where in _stems(devkit, image_set):
      xml = raw.inside(devkit.annotations, f"{stem}.xml", where)
      if not os.path.isfile(xml):
        raise errors.DataError("missing-file", where, f"no file {xml}", "an annotation")
      if stem in found:
        raise errors.DataError("duplicate-id", where, f"{stem} is in {found[stem].where} too",
                               "pictures of different names", "Rename those of one devkit.")
      picture = raw.inside(devkit.pictures, files.get(stem, f"{stem}.jpg"), where)
      objects = _objects(xml)
      labels = tuple(dict.fromkeys(objects.labels))
      found[stem] = raw.Source(
          stem, picture, labels, (1.0,) * len(labels), xml, None, objects)
  return list(found.values())


def list_path(image_sets: str, image_set: str | None) -> str:
  """Path of the list `<set>.txt` in a devkit's `ImageSets/Main` or `ImageSets/Segmentation`.

  Raises:
    errors.DataError: there is none; says which there are.
  """
  path = raw.inside(image_sets, f"{image_set}.txt", "image set")
  if not os.path.isfile(path):
    files = os.listdir(image_sets) if os.path.isdir(image_sets) else ()
    there = sorted(n.removesuffix(".txt") for n in files
                   if n.endswith(".txt") and "_" not in n)  # others list a class each
    raise errors.DataError(
        "voc-set", image_sets, f"no list of {errors.printable(image_set)}",
        f"one of {errors.printable(', '.join(there)) or 'train, val, trainval, test'}")
  return path


def _stems(devkit: Devkit, image_set: str | None) -> Iterator[tuple[str, str]]:
  """(name of a picture without its ending, where it is named)."""
  if devkit.image_sets is None:
    if image_set is not None:
      raise errors.DataError(
          "voc-set", os.path.dirname(devkit.annotations), f"no list of {image_set}",
          f"ImageSets/Main/{image_set}.txt", "Without a set, every annotation is read.")
    for name in sorted(os.listdir(devkit.annotations)):
      if name.endswith(".xml") and not name.startswith("."):
        yield name.removesuffix(".xml"), os.path.join(devkit.annotations, name)
    return
  path = list_path(devkit.image_sets, image_set)
  seen: dict[str, int] = {}
  for number, line in enumerate(_lines(path), 1):
    stem = (line.split() or [""])[0]  # a second column says whether a class is there
    where = f"{path}:{number}"
    if not stem:
      continue
    if "\0" in stem or seen.setdefault(stem, number) != number:
      found = f"{errors.printable(stem)!r}, first on line {seen.get(stem, number)}"
      raise errors.DataError("voc-set", where, found, "the name of a picture, once")
    yield stem, where


def _lines(path: str) -> list[str]:
  try:
    with open(path, encoding="utf-8-sig") as file:
      return file.read().split("\n")
  except (OSError, UnicodeDecodeError) as error:
    raise errors.DataError("voc-set", path, errors.printable(error), "a text file") from None


def _parse(path: str) -> ElementTree.Element:
  """The root of an XML file; a document type, which could define entities, is refused."""
  parser, builder = expat.ParserCreate(), ElementTree.TreeBuilder()

  def refuse(*_):
    raise errors.DataError(
        "voc-xml", path, "a document type (<!DOCTYPE …>)", "plain XML", "Remove that line.")

  parser.StartDoctypeDeclHandler = refuse
  parser.StartElementHandler = builder.start
  parser.EndElementHandler = builder.end
  parser.CharacterDataHandler = builder.data
  try:
    if os.path.getsize(path) > _LARGEST_FILE:
      raise ValueError(f"{os.path.getsize(path)} bytes")
    with open(path, "rb") as file:
      parser.Parse(file.read(), True)
    return builder.close()
  except (OSError, ValueError, expat.ExpatError) as error:
    raise errors.DataError(
        "voc-xml", path, errors.printable(error), "a whole XML file of VOC") from None


def _objects(path: str) -> raw.Objects:
  root = _parse(path)
  boxes, labels, difficult = [], [], []
  for number, thing in enumerate(root.findall("object"), 1):
    where = f"{path} object {number}"
    name = (thing.findtext("name") or "").strip()
    if not name or not name.isprintable():
      raise errors.DataError("voc-object", where, f"name {errors.printable(name)!r}", "a class")
    flag = (thing.findtext("difficult") or "").strip() or "0"
    if flag not in ("0", "1"):
      raise errors.DataError("voc-object", where, f"difficult {errors.printable(flag)}", "0 or 1")
    boxes.append([_number(thing, f"bndbox/{corner}", where) for corner in _CORNERS])
    labels.append(name)
    difficult.append(flag == "1")
  return raw.Objects(
      np.reshape(boxes, (-1, 4)), tuple(labels), (False,) * len(labels), tuple(difficult),
      (math.nan,) * len(labels), _size(root, path), one_based=True)


def _number(element: ElementTree.Element, tag: str, where: str) -> float:
  """A finite number, whole or not, below an element."""
  text = element.findtext(tag)
  try:
    value = float(text or "")
  except ValueError:
    value = math.nan
  if not abs(value) < 1e9:
    found = f"no {tag}" if text is None else f"{tag} {errors.printable(text)!r}"
    raise errors.DataError("voc-object", where, found, "a number of pixels")
  return value


def _size(root: ElementTree.Element, path: str) -> tuple[int, int] | None:
  """Height and width where the file states them; some files do not, or say 0."""
  if root.find("size") is None:
    return None
  sides = [int(_number(root, f"size/{side}", path)) for side in ("height", "width")]
  return (sides[0], sides[1]) if min(sides) > 0 else None


def open_boxes(
    input: str, split: str, annotations: str | None = None, labels: Sequence[str] | None = None,
    voc_set: str | None = None,
) -> Opened:
  """Boxes of VOC devkits.

  Args:
    input: devkits; with `annotations`, folders of pictures.
    split: of the records: the devkits' list, where `voc_set` names none.
    annotations: folders of XML files, one for each folder of pictures.
    labels: in place of VOC's.
    voc_set: the devkits' list, as `trainval`.
  """
  roots = several(input)
  if annotations:
    folders = several(annotations)
    if len(roots) != len(folders):
      raise errors.ConfigError("flags", "--annotations", f"{len(folders)} folders",
                               f"{len(roots)}, one per folder of pictures")
    devkits = [Devkit(*pair) for pair in zip(folders, roots)]
  else:
    devkits = [Devkit.at(root) for root in roots]
  listed = any(devkit.image_sets for devkit in devkits)
  found = read(devkits, voc_set or (split if listed else None))
  about = about_source("voc", **({"voc_set": voc_set or split} if listed else {}))
  return Opened(lambda: iter(found), labels or LABELS, {**about, "boxes": True})


def open_masks(
    input: str, split: str, annotations: str | None = None, labels: Sequence[str] | None = None,
    voc_set: str | None = None, keep_ids: str | None = None, leave_out_ids: str | None = None,
) -> Opened:
  """Masks of a VOC devkit. Without lists, every mask is read, as every annotation is.

  Args:
    input: the devkit.
    split, voc_set: as of `open_boxes`.
    annotations: folders of masks, those of the devkit without their path; None:
      SegmentationClass.
    labels: in place of VOC's.
    keep_ids, leave_out_ids: lists of names, of which the first replaces the devkit's.
  """
  folders = []
  for name in several(annotations or "SegmentationClass"):
    own = os.path.join(input, name)
    folders.append(own if name != mask_folders.NONE and os.path.isdir(own) else name)
  lists = os.path.join(input, "ImageSets", "Segmentation")
  names, more = keep_ids, {}
  if not names and (voc_set or os.path.isdir(lists)):
    more = {"voc_set": voc_set or split}
    names = list_path(lists, more["voc_set"])
  return mask_folders.open_folders(
      "voc_masks", labels or (raw.BACKGROUND, *LABELS), [os.path.join(input, "JPEGImages")],
      folders, names, leave_out_ids, **more)
