"""The lists that say which class a validation picture of ILSVRC-2012 shows.

The devkit numbers its classes 1 to 1000 in an order of its own, which `meta.mat` gives; it is
not that of the sorted wnids, by which TFDS, torchvision and Keras number their outputs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jft_reps import errors

_WNID = re.compile(r"n\d{8}", re.ASCII)
_BOX = 5  # a box is a wnid and four coordinates
_HEADER = "ImageId,PredictionString"


class Truth(NamedTuple):
  """Class and line of a validation picture."""

  wnid: str
  line: int


def is_wnid(name: str) -> bool:
  """Whether `name` is written as WordNet nouns are: `n` and eight digits."""
  return _WNID.fullmatch(name) is not None


def _lines(path: str) -> Iterator[tuple[int, str]]:
  """(number, text) of every line; empty lines at the end are left out."""
  try:
    with open(path, encoding="utf-8-sig") as file:
      lines = [line.strip() for line in file.read().rstrip().split("\n")]
  except (OSError, UnicodeDecodeError) as error:
    raise errors.DataError("bad-list", path, errors.printable(error), "a text file") from None
  yield from enumerate(lines, 1)


def _checked_wnid(wnid: str, where: str) -> str:
  if not is_wnid(wnid):
    raise errors.DataError(
        "bad-wnid", where, f"class {errors.printable(wnid)!r}", "a wnid such as n01440764",
        "If the list was cut off, fetch it again.")
  return wnid


def synset_mapping(path: str | os.PathLike) -> tuple[str, ...]:
  """Sorted wnids of Kaggle's `LOC_synset_mapping.txt`, lines of a wnid and words.

  Raises:
    errors.DataError: names file and line.
  """
  path = os.fspath(path)
  wnids = [_checked_wnid(text.partition(" ")[0], f"{path}:{line}") for line, text in _lines(path)]
  if len(set(wnids)) != len(wnids):
    twice = next(w for i, w in enumerate(wnids) if w in wnids[:i])
    raise errors.DataError("duplicate-label", path, f"{twice} twice", "each wnid once")
  return tuple(sorted(wnids))


def solution(path: str | os.PathLike) -> dict[str, Truth]:
  """Truth by file name, from Kaggle's `LOC_val_solution.csv`.

  A line is `ILSVRC2012_val_00000001,n01751748 111 108 441 193 …`, a wnid and a box for each
  object; all objects of a picture are of one class.

  Raises:
    errors.DataError: names file and line.
  """
  path = os.fspath(path)
  truth: dict[str, Truth] = {}
  for line, text in _lines(path):
    where = f"{path}:{line}"
    if line == 1 and text == _HEADER:
      continue
    image, _, boxes = text.partition(",")
    words = boxes.split()
    if not image or not words or len(words) % _BOX:
      raise errors.DataError(
          "bad-list", where, errors.printable(text), "ImageId,wnid x y x y …",
          "If the list was cut off, fetch it again.")
    wnids = {_checked_wnid(word, where) for word in words[::_BOX]}
    name = f"{image}.JPEG"
    if len(wnids) > 1 or name in truth:
      found = f"{errors.printable(name)} with {', '.join(sorted(wnids))}"
      if name in truth:
        found = f"{errors.printable(name)}, which is on line {truth[name].line} already"
      raise errors.DataError("bad-list", where, found, "each picture once, with one class")
    truth[name] = Truth(wnids.pop(), line)
  return truth


def devkit_wnids(path: str | os.PathLike) -> dict[int, str]:
  """Wnid by the devkit's id, of the classes (synsets without children) in `meta.mat`.

  Raises:
    errors.DataError: no MATLAB file, not the devkit's, or its ids are not 1 to their number.
  """
  import scipy.io

  path = os.fspath(path)
  try:
    synsets = np.atleast_1d(scipy.io.loadmat(path, squeeze_me=True)["synsets"])
    leaves = synsets[[int(n) == 0 for n in synsets["num_children"]]]
    wnids = {int(i): str(w) for i, w in zip(leaves["ILSVRC2012_ID"], leaves["WNID"])}
  except Exception as error:  # scipy raises whatever the bytes of a broken file lead to
    raise errors.DataError(
        "bad-devkit", path, errors.printable(error), "meta.mat of the ILSVRC-2012 devkit",
        "Fetch the devkit again.") from None
  for number, wnid in wnids.items():
    _checked_wnid(wnid, f"{path} ILSVRC2012_ID {number}")
  whole = sorted(wnids) == list(range(1, len(leaves) + 1))
  if not whole or not wnids or len(set(wnids.values())) != len(wnids):
    raise errors.DataError(
        "bad-devkit", path, f"{len(leaves)} classes with ids from {min(wnids, default=0)} to "
        f"{max(wnids, default=0)}", "ids from 1 to the number of classes, each wnid once")
  return wnids


def ground_truth(path: str | os.PathLike, wnids: dict[int, str]) -> dict[str, Truth]:
  """Truth by file name, from the devkit's `ILSVRC2012_validation_ground_truth.txt`.

  Line n is the devkit's id of the class of `ILSVRC2012_val_<n in eight digits>.JPEG`.

  Args:
    path: the list.
    wnids: of `devkit_wnids`.

  Raises:
    errors.DataError: names file and line.
  """
  path, truth = os.fspath(path), {}
  for line, text in _lines(path):
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number not in wnids:
      raise errors.DataError(
          "bad-list", f"{path}:{line}", f"class {errors.printable(text)!r}",
          f"an ILSVRC2012_ID from 1 to {len(wnids)}")
    truth[f"ILSVRC2012_val_{line:08d}.JPEG"] = Truth(wnids[number], line)
  return truth
