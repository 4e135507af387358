"""Folders of pictures and folders of masks of the same names: VOC's, SBD's, anybody's."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

from jft_reps import errors
from jft_reps.data.sources import file_tree, folder, raw
from jft_reps.data.sources.opened import Opened, about_source, required, several

_MASKS = (".png", ".mat")

NONE = "none"  # in place of folders of masks


@dataclasses.dataclass(frozen=True)
class MaskedPictures:
  """Pictures and their masks, neither of them opened yet.

  Attributes:
    count: number of pictures.
    unused: pictures without a mask, where no list says which to take.
  """

  unused: int
  _sources: tuple[raw.Source, ...] = dataclasses.field(repr=False)

  @property
  def count(self) -> int:
    return len(self._sources)

  def read(self) -> Iterator[raw.Source]:
    """Every picture with its mask, in order of the list or else of name."""
    return iter(self._sources)


def open_set(
    pictures: Sequence[str | os.PathLike],
    masks: Sequence[str | os.PathLike],
    names: str | os.PathLike | None = None,
    leave_out: str | os.PathLike | None = None,
) -> MaskedPictures:
  """Finds the mask of every picture, `a/b.png` or SBD's `a/b.mat` of `a/b.jpg`.

  Args:
    pictures: folders of JPEG or PNG files, which may have folders inside.
    masks: as many as one likes; of several files of one name that of the first folder counts, so
      VOC's own go before SBD's. None: pictures without masks, to be predicted only.
    names: file with one name per line, with or without the picture's ending, or lines of lists of
      train_aug, `/JPEGImages/a.jpg /SegmentationClassAug/a.png`, of which the picture's name
      counts; exactly those are taken. By default every mask, whose picture must be there.
    leave_out: file of the same form with names that are not taken.

  Returns:
    The set. The id of a picture is its name without the ending.

  Raises:
    errors.DataError: no such folder, two files of one name in a folder, a list that is empty,
      names a picture twice or one that is not there; a mask without its picture or the reverse.
  """
  found = _files(pictures, folder.SUFFIXES, "pictures")
  indices = _files(masks, _MASKS, "masks") if masks else None
  if names is not None:
    wanted = _listed(os.fspath(names), found, pictures)
  else:
    wanted = dict(sorted((found if indices is None else indices).items()))
  for name in () if leave_out is None else _listed(os.fspath(leave_out), found, pictures):
    wanted.pop(name, None)
  sources = []
  for name, where in wanted.items():
    if name not in found:
      raise errors.DataError(
          "missing-picture", where, "no picture of this name", f"one in {_text(pictures)}")
    mask = None
    if indices is not None:
      if name not in indices:
        raise errors.DataError(
            "missing-mask", where, f"no mask of {errors.printable(name)!r}",
            f"a .png or .mat of this name in {_text(masks)}")
      mask = raw.Mask(indices[name])
    sources.append(raw.Source(name, found[name], (), (), where, mask=mask))
  if not sources:
    raise errors.DataError("no-pictures", _text(masks or pictures), "no file", "PNG or .mat masks"
                           if masks else "JPEG or PNG pictures")
  unused = len(found) - len(sources) if names is None else 0
  return MaskedPictures(unused, tuple(sources))


def _text(folders: Sequence[str | os.PathLike]) -> str:
  return ", ".join(os.fspath(path) for path in folders)


def _files(
    folders: Sequence[str | os.PathLike], endings: tuple[str, ...], kind: str
) -> dict[str, str]:
  """Path by name without the ending; of several folders the first counts."""
  found: dict[str, str] = {}
  for root in [os.fspath(path) for path in folders]:
    if not os.path.isdir(root):
      raise errors.DataError("missing-folder", root, "no such folder", f"a folder of {kind}")
    here: dict[str, str] = {}
    for file in file_tree.walk(root, endings):
      path, name = os.path.join(root, file), os.path.splitext(file)[0]
      if name in here:
        raise errors.DataError(
            "duplicate-id", path, f"of the same name as {here[name]}", "one file of a name",
            f"Remove or rename one of the {kind}.")
      here[name] = raw.inside(root, file, path)
    found = {**here, **found}
  return found


def _forms(line: str) -> Iterator[str]:
  """What a line of a list may mean: a name, with its ending, or as the columns of lists of
  train_aug have it: `/JPEGImages/a.jpg /SegmentationClassAug/a.png`."""
  yield line
  stem, ending = os.path.splitext(line)
  if ending.lower() in folder.SUFFIXES:
    yield stem
  first, ending = os.path.splitext(line.split()[0])
  if first.startswith("/") and ending.lower() in folder.SUFFIXES:
    yield os.path.basename(first)


def _listed(
    path: str, pictures: dict[str, str], folders: Sequence[str | os.PathLike]
) -> dict[str, str]:
  """Where a list names each picture, by name without its ending."""
  try:
    with open(path, encoding="utf-8-sig") as file:
      lines = file.read().split("\n")
  except (OSError, UnicodeDecodeError) as error:
    raise errors.DataError(
        "mask-list", path, errors.printable(error), "a text file, one name per line") from None
  wanted: dict[str, str] = {}
  for number, name in enumerate(map(str.strip, lines), 1):
    if not name:
      continue
    where = f"{path}:{number}"
    name = next((form for form in _forms(name) if form in pictures), name)
    if name in wanted:
      raise errors.DataError(
          "mask-list", where, f"{errors.printable(name)!r}, which is on line "
          f"{wanted[name].rpartition(':')[2]} already", "each name once")
    if name not in pictures:
      if "\0" not in name:
        raw.inside(os.fspath(folders[0]), name, where)
      raise errors.DataError(
          "missing-picture", where, f"{errors.printable(name)!r}",
          f"the name of a picture in {_text(folders)}, one per line")
    wanted[name] = where
  if not wanted:
    raise errors.DataError("mask-list", path, "no name", "one name per line")
  return wanted


def open_masks(
    input: str, annotations: str | None = None, labels: Sequence[str] | None = None,
    keep_ids: str | None = None, leave_out_ids: str | None = None,
) -> Opened:
  """Folders of pictures and of masks; `annotations` may be `none`, to predict only."""
  if labels is None:
    raise errors.ConfigError("flags", "--labels", "missing",
                             "the classes in order of their indices")
  return open_folders("masks", labels, several(input),
                      required(annotations, "folders of masks, or none"), keep_ids, leave_out_ids)


def open_folders(
    name: str, labels: Sequence[str], pictures: list[str], masks: list[str], names: str | None,
    leave_out: str | None, **more: Any,
) -> Opened:
  """What `open_set` finds, as a source of this name, of which the manifest says `more`."""
  opened = open_set(pictures, [] if masks == [NONE] else masks, names, leave_out)
  about = about_source(name, unused_pictures=opened.unused, **more)
  return Opened(opened.read, labels, {**about, "masks": True})
