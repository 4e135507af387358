"""ILSVRC-2012 (Russakovsky et al. 2015) as people have it on disk, as a stream of pictures.

Training pictures lie in folders named by wnid. The 50,000 validation pictures lie in such
folders too, or in one flat folder with Kaggle's list or the devkit's beside it. Classes are in
the order of their sorted wnids. Ids of pictures are their file names, in every layout.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence

from jft_reps import errors
from jft_reps.data.sources import folder, raw
from jft_reps.data.sources.imagenet import lists
from jft_reps.data.sources.opened import Opened, about_source

_PARTS = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
_FOLDERS = {"train": ("train", "ILSVRC2012_img_train"),
            "validation": ("val", "validation", "ILSVRC2012_img_val")}
_LISTS = ("", "ILSVRC2012_devkit_t12/data", "ILSVRC2012_devkit_t12", "devkit/data", "devkit",
          "data", "ILSVRC")
SOLUTION = "LOC_val_solution.csv"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
MAPPING = "LOC_synset_mapping.txt"


@dataclasses.dataclass(frozen=True)
class ImageNet:
  """One part of ILSVRC-2012.

  Attributes:
    labels: sorted wnids, the order of classes.
    read: gives the pictures anew with every call.
  """

  labels: tuple[str, ...]
  read: Callable[[], Iterator[raw.Source]]


def open_part(root: str | os.PathLike, part: str) -> ImageNet:
  """Finds a part below `root` and compares lists with pictures.

  Classes are those of `meta.mat` or `LOC_synset_mapping.txt` where one is there, else the
  folders of the training pictures, else what the validation pictures have.

  Args:
    root: has `train` and `val`, or `ILSVRC/Data/CLS-LOC/train` and `…/val`; lists beside them
      or in the devkit's folder.
    part: `train` or `validation`.

  Raises:
    errors.ConfigError: no such part.
    errors.DataError: pictures or lists are missing, cut off, or do not fit one another; names
      file and line.
  """
  root = os.path.expanduser(os.fspath(root))
  if part not in _FOLDERS:
    raise errors.ConfigError(
        "imagenet-split", "imagenet", f"split {errors.printable(part)!r}", "train or validation",
        "The test pictures have no public labels.")
  path = _pictures(root, part)
  if path is None:
    raise errors.DataError(
        "imagenet-missing", root, f"no {' or '.join(_FOLDERS[part])}",
        f"the {part} pictures in one of {', '.join(_FOLDERS[part])}, there or below "
        f"{' or '.join(_PARTS[1:])}")
  wnids = _wnid_folders(path)
  if wnids or part == "train":
    return ImageNet(_classes(root, path, wnids), lambda: _from_folders(path, wnids))
  listing, truth = _truth(root, path)
  _compare(path, _flat(path), listing, truth)
  occurring = sorted({t.wnid for t in truth.values()})
  return ImageNet(_classes(root, path, occurring), lambda: _from_list(path, listing, truth))


def _pictures(root: str, part: str) -> str | None:
  """Folder of the pictures of a part."""
  candidates = [os.path.join(root, p, f) for p in _PARTS for f in _FOLDERS[part]]
  return next((path for path in candidates if os.path.isdir(path)), None)


def _list(root: str, path: str, name: str) -> str | None:
  """A list by its name, below `root` or beside the pictures."""
  places = [os.path.join(root, place) for place in _LISTS] + [path, os.path.dirname(path)]
  candidates = [os.path.join(place, name) for place in places]
  return next((c for c in candidates if os.path.isfile(c)), None)


def _wnid_folders(path: str) -> list[str]:
  """Sub-folders, all of them named by wnids; links out of `path` are refused."""
  entries = sorted(e.name for e in os.scandir(path) if e.is_dir() and not e.name.startswith("."))
  for name in entries:
    where = os.path.join(path, name)
    if not lists.is_wnid(name):
      raise errors.DataError(
          "bad-wnid", where, "a folder that is no class", "a wnid such as n01440764",
          "Use --source=folder for pictures with classes of other names.")
    raw.inside(path, name, where)
  return entries


def _classes(root: str, path: str, occurring: Sequence[str]) -> tuple[str, ...]:
  """Sorted wnids of the whole, by the most official list there is."""
  meta, mapping = _list(root, path, META), _list(root, path, MAPPING)
  training = _pictures(root, "train")
  if meta is not None:
    return tuple(sorted(lists.devkit_wnids(meta).values()))
  if mapping is not None:
    return lists.synset_mapping(mapping)
  return tuple((_wnid_folders(training) if training else None) or occurring)


def _from_folders(path: str, wnids: Sequence[str]) -> Iterator[raw.Source]:
  """Pictures of the class folders; raises at the end where a folder had none."""
  seen: set[str] = set()
  for picture in folder.read(path):
    seen.update(picture.labels)
    name = picture.picture_id.rpartition("/")[2]
    yield dataclasses.replace(picture, picture_id=name)
  empty = [wnid for wnid in wnids if wnid not in seen]
  if empty or not wnids:
    where = os.path.join(path, empty[0]) if empty else path
    raise errors.DataError(
        "no-pictures", where, f"no picture in {len(empty)} class folders" if empty
        else "no class folder", "<wnid>/<picture>.JPEG",
        "Unpack the archive of every class into a folder named after it.")


def _flat(path: str) -> list[str]:
  """Names of the pictures that lie in `path` itself."""
  return sorted(name for name in os.listdir(path)
                if name.lower().endswith(folder.SUFFIXES) and not name.startswith("."))


def _truth(root: str, path: str) -> tuple[str, dict[str, lists.Truth]]:
  """(file, truth by picture) of the list that is there."""
  listing = _list(root, path, SOLUTION)
  if listing is not None:
    return listing, lists.solution(listing)
  listing, meta = _list(root, path, GROUND_TRUTH), _list(root, path, META)
  if listing is None or meta is None:
    there = f"{GROUND_TRUTH} without {META}" if listing else "no list of classes"
    raise errors.DataError(
        "imagenet-truth", path, f"flat pictures and {there}",
        f"{SOLUTION} in {root}, or {GROUND_TRUTH} and {META} there or in {_LISTS[1]}",
        "Both come with the downloads of ILSVRC-2012; or sort the pictures into wnid folders.")
  return listing, lists.ground_truth(listing, lists.devkit_wnids(meta))


def _compare(
    path: str, pictures: Sequence[str], listing: str, truth: dict[str, lists.Truth]
) -> None:
  """Raises unless every picture has a line and every line a picture."""
  numbers = f"{len(pictures):,} pictures in {path} and {len(truth):,} classes in the list"
  there = set(pictures)
  for name, (_, line) in truth.items():
    if name not in there:
      raise errors.DataError(
          "imagenet-truth", f"{listing}:{line}", f"{errors.printable(name)} is missing; {numbers}",
          "a picture for every line", "Unpack the archive of the pictures again.")
  for name in pictures:
    if name not in truth:
      last = max((t.line for t in truth.values()), default=0)
      raise errors.DataError(
          "imagenet-truth", f"{listing}:{last}",
          f"the list ends without {errors.printable(name)}; {numbers}",
          "a line for every picture", "If the list was cut off, fetch it again.")


def _from_list(
    path: str, listing: str, truth: dict[str, lists.Truth]
) -> Iterator[raw.Source]:
  for name, (wnid, line) in sorted(truth.items()):
    where = f"{listing}:{line}"
    yield raw.Source(name, raw.inside(path, name, where), (wnid,), (1.0,), where)


def open_ilsvrc(input: str, split: str, labels: Sequence[str] | None = None) -> Opened:
  """ILSVRC-2012; the split of the records, `train` or `validation`, names the part."""
  part = open_part(input, split)
  return Opened(part.read, labels or part.labels, about_source("imagenet"))
