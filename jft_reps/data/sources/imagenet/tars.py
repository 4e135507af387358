"""ImageNet-21k (Deng et al. 2009) as it is handed out: a tar of pictures per class.

A folder of them, `fall11_whole.tar` or `winter21_whole.tar.gz` with all of them inside, or
`ILSVRC2012_img_train.tar` are read where they lie. The name of a class's tar is the label.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence

from jft_reps import errors
from jft_reps.data.sources import folder, raw, tar_files
from jft_reps.data.sources.opened import Opened, about_source

_CLASS = re.compile(r"(n\d{8})\.(?:tar|tar\.gz|tgz)", re.ASCII)
_LARGEST_PICTURE = 32 << 20


@dataclasses.dataclass(frozen=True)
class ImageNetTars:
  """Archives of classes.

  Attributes:
    path: of the folder, or of the archive of archives.
    labels: sorted wnids; None of an archive of archives, which is not looked through for them.
    counts: what `read` found beside pictures; complete when it is through.
  """

  path: str
  labels: tuple[str, ...] | None
  counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)

  def read(self) -> Iterator[raw.Source]:
    """Every picture with its bytes, one after another; ids are the names of their files.

    Files that are no JPEG or PNG by their names are counted and passed over.

    Raises:
      errors.DataError: an archive is damaged, cut off or has members that are refused.
    """
    self.counts.clear()
    if self.labels is None:
      yield from self._whole()
      return
    for name, wnid in _archives(self.path):
      path = raw.inside(self.path, name, os.path.join(self.path, name))
      with tar_files.opened(path) as (file, end):
        yield from self._pictures(file, wnid, path, 0, end)

  def _whole(self) -> Iterator[raw.Source]:
    """Pictures of an archive of archives, or of a single class."""
    own = _CLASS.fullmatch(os.path.basename(self.path))
    with tar_files.opened(self.path) as (file, end):
      if own is not None:
        yield from self._pictures(file, own[1], self.path, 0, end)
        return
      for member in tar_files.members(file, self.path, 0, end):
        match = _CLASS.fullmatch(member.name.rpartition("/")[2])
        if match is None or not member.name.endswith(".tar"):
          self.counts["other_members"] += 1
          continue
        where = f"{self.path} {errors.printable(member.name)}"
        yield from self._pictures(
            file, match[1], where, member.offset, member.offset + member.size)
    if not self.counts["classes"]:
      raise errors.DataError(
          "no-pictures", self.path, f"no archive of a class, {self.counts['other_members']} "
          "other members", "nXXXXXXXX.tar inside")

  def _pictures(
      self, file, wnid: str, where: str, start: int, end: int | None
  ) -> Iterator[raw.Source]:
    """Pictures of one class."""
    self.counts["classes"] += 1
    empty = True
    for member in tar_files.members(file, where, start, end):
      name = member.name.rpartition("/")[2]
      if name.startswith(".") or not name.lower().endswith(folder.SUFFIXES):
        self.counts["other_members"] += 1
        continue
      empty = False
      data = tar_files.read(file, member, where, _LARGEST_PICTURE)
      picture_id = name if name.startswith(wnid) else f"{wnid}/{name}"
      yield raw.Source(picture_id, "", (wnid,), (1.0,), f"{where} {errors.printable(name)}", data)
    self.counts["classes_without_pictures"] += empty


def open_set(path: str | os.PathLike) -> ImageNetTars:
  """Finds the archives.

  Args:
    path: a folder of `nXXXXXXXX.tar` files, an archive of those, or one of them.

  Raises:
    errors.DataError: there is none.
  """
  path = os.fspath(path)
  if not os.path.isdir(path):
    if not os.path.isfile(path):
      raise errors.DataError("missing-file", path, "no such file or folder",
                             "nXXXXXXXX.tar files in a folder or in one archive")
    return ImageNetTars(path, None)
  wnids = [wnid for _, wnid in _archives(path)]
  if not wnids or len(set(wnids)) != len(wnids):
    found = "an archive of a class twice" if wnids else (
        f"no nXXXXXXXX.tar among {len(os.listdir(path))} files")
    raise errors.DataError("no-pictures", path, found, "a tar per class, named by its wnid",
                           "Use --source=folder for pictures that are unpacked.")
  return ImageNetTars(path, tuple(wnids))


def _archives(path: str) -> list[tuple[str, str]]:
  """(name, wnid) of the files of a folder that are named as a class, sorted."""
  return sorted((match[0], match[1]) for match in map(_CLASS.fullmatch, os.listdir(path))
                if match and os.path.isfile(os.path.join(path, match[0])))


def open_tars(input: str, labels: Sequence[str] | None = None) -> Opened:
  """ImageNet-21k as its archives."""
  opened = open_set(input)
  about = about_source("imagenet21k", source_counts=opened.counts)
  return Opened(opened.read, labels or opened.labels, about)
