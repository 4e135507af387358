"""One picture with its labels, before it is a record: what every kind of raw material gives."""

from __future__ import annotations

import dataclasses
import functools
import os

import numpy as np

from jft_reps import errors

BACKGROUND = "background"  # class 0 of masks


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
  """What lies where in one picture, as its annotation says; a build checks and clips the boxes.

  Attributes:
    boxes: finite `[n, 4]` as ymin, xmin, ymax, xmax, in pixels of the file as it is stored: its
      EXIF orientation counts for nothing.
    labels: class name per box.
    crowd: per box, whether it holds a crowd of its class (COCO).
    difficult: per box, whether evaluation leaves it out (VOC).
    area: pixels per box; NaN: that of the box.
    size: height and width of the picture where the annotation states them.
    normalised: boxes are in [0, 1] of the picture's sides instead.
    keypoints: `[n, points, 3]` as y and x, in pixels with pixel centres at +0.5 whatever the boxes
      are in, and visibility (0 not labelled, 1 hidden, 2 visible); None: a set without.
    one_based: boxes name their first and last pixel and count from 1, as VOC does: pixel 1 to 10
      are the edges 0 to 10, so 1 is taken off ymin and xmin.
  """

  boxes: np.ndarray
  labels: tuple[str, ...]
  crowd: tuple[bool, ...]
  difficult: tuple[bool, ...]
  area: tuple[float, ...]
  size: tuple[int, int] | None = None
  normalised: bool = False
  one_based: bool = False
  keypoints: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Outline:
  """One object's pixels, as COCO gives them; checked against the picture before it is drawn.

  Attributes:
    index: class index, background being 0.
    where: for the text of errors.
    polygons: float64 arrays of x0, y0, x1, y1, … in pixels; their union is meant.
    counts: instead of polygons, runs of pixels down the columns that are in turn outside and
      inside, as whole numbers or as COCO's compressed text.
    size: height and width of a picture of such runs.
  """

  index: int
  where: str
  polygons: tuple[np.ndarray, ...] = ()
  counts: str | np.ndarray | None = None
  size: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Mask:
  """A class per pixel of the file as it is stored: its EXIF orientation counts for nothing.

  Attributes:
    path: of a file with an index per pixel, a PNG or SBD's `.mat`; empty where outlines are drawn.
    outlines: of the objects; what none of them covers is background.
    size: height and width of the picture where the annotation states them.
  """

  path: str = ""
  outlines: tuple[Outline, ...] = ()
  size: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Source:
  """One picture before it is a record, in a file or as the bytes of one.

  Attributes:
    picture_id: unique name.
    path: of the file; empty where there is none.
    labels: names, not yet indices.
    confidences: one per label, in [0, 1].
    where: for the text of errors.
    data: the encoded picture where it is no file of its own.
    objects: boxes, in a set that has them.
    mask: a class per pixel, in a set that has them; its classes are the picture's labels.
    absent: labels that somebody looked for and did not find.
  """

  picture_id: str
  path: str
  labels: tuple[str, ...]
  confidences: tuple[float, ...]
  where: str
  data: bytes | None = None
  objects: Objects | None = None
  mask: Mask | None = None
  absent: tuple[str, ...] = ()

  @property
  def picture(self) -> str | bytes:
    """Encoded bytes, or the path of the file that has them."""
    return self.path if self.data is None else self.data


def inside(root: str, name: str, where: str) -> str:
  """Path of `name` under `root`; refuses one that leaves it, by `..`, links or a root slash."""
  folder, last = os.path.split(os.path.join(root, name))
  path, base = os.path.join(_real(folder), last), _real(os.fspath(root))
  if last in ("", os.curdir, os.pardir) or os.path.islink(path):
    path = os.path.realpath(path)
  if path != base and not path.startswith(base.rstrip(os.sep) + os.sep):
    found = f"path {errors.printable(name)!r} leaves the folder"
    raise errors.DataError("path-outside", where, found, f"a file under {root}")
  return path


@functools.lru_cache(maxsize=1024)
def _real(folder: str) -> str:
  """`os.path.realpath`, which asks for every part of a path anew."""
  return os.path.realpath(folder)
