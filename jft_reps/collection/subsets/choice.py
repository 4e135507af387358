"""Which pictures of a record set a subset takes, and the classes that these carry."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from google.protobuf import message

from jft_reps import errors
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.data.records import framing, label_map, manifest, schema
from jft_reps.data.records.example import Example

_BATCH = 256
_LONGEST_ID = 4096  # bytes
_KINDS = {schema.ENCODED: "bytes_list", schema.SOURCE_ID: "bytes_list", schema.LABEL: "int64_list"}


class Piece(NamedTuple):
  """Some records of a shard that were looked at.

  Attributes:
    seen: pictures of the set that were looked at.
    left_out: of them, those whose id is listed to be left out.
    met: of them, those whose id is listed to be kept.
    numbers: int64 `[m]`, the records in the file that are taken.
    pictures: int64 `[pairs]`, index in `numbers`; each pair with `classes` once.
    classes: int64 `[pairs]`, a class that this picture carries, with its ancestors.
  """

  seen: int
  left_out: int
  met: int
  numbers: np.ndarray
  pictures: np.ndarray
  classes: np.ndarray


def read_ids(path: str | os.PathLike, may_be_empty: bool = False) -> frozenset[bytes]:
  """The picture ids in a text file, one a line, spaces and all; blank lines count for nothing.

  Raises:
    errors.DataError: no such file, one that is no text, or, unless it may be, one without an id.
  """
  expected = "a text file of picture ids, one a line"
  if not os.path.isfile(path):
    raise errors.DataError("bad-id-list", path, "no such file", expected)
  found, number = set(), 0
  try:
    with open(path, "rb") as file:
      while line := file.readline(_LONGEST_ID + 2):
        number += 1
        name = line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").rstrip(b"\r\n")
        if len(name) > _LONGEST_ID or b"\0" in name:
          raise errors.DataError("bad-id-list", f"{os.fspath(path)}:{number}",
                                 f"no id: {errors.printable(name[:40])}", expected)
        found.add(name)
  except OSError as error:
    raise errors.DataError(
        "bad-id-list", path, errors.printable(error.strerror), expected) from None
  if not found - {b""} and not may_be_empty:
    raise errors.DataError("bad-id-list", path, "no id", expected)
  return frozenset(found - {b""})


def identified(serialized: bytes) -> tuple[bytes, Sequence[int]]:
  """(id, class indices) of a record; empty of what `validate` calls no Example."""
  try:
    features = Example.FromString(serialized).features.feature
  except message.DecodeError:
    return b"", ()
  for key, kind in _KINDS.items():
    if key in features and features[key].WhichOneof("kind") not in (None, kind):
      return b"", ()
  names = features[schema.SOURCE_ID].bytes_list.value
  return names[0] if names else b"", features[schema.LABEL].int64_list.value


def vocabulary(record_set: manifest.RecordSet, hierarchy: Hierarchy | None) -> tuple[str, ...]:
  """Class ids of a set in their order, of `labels.txt` or the hierarchy; none where it has none.

  Raises:
    errors.DataError: the two differ.
  """
  stored = label_map.labels_of(record_set)
  if hierarchy is None or stored is None:
    return stored or (() if hierarchy is None else hierarchy.ids)
  if stored != hierarchy.ids:
    raise errors.DataError(
        "labels-differ", f"{record_set.directory}, split {record_set.split}",
        f"{len(stored)} labels", f"the {len(hierarchy)} of the hierarchy, in its order",
        "Give the hierarchy that the records were built with.")
  return stored


def pictures(record_set: manifest.RecordSet) -> Iterator[tuple[bytes, Sequence[int]]]:
  """(id, class indices) of every picture of a set, in the order of its shards.

  Raises:
    errors.DataError: a shard is damaged.
  """
  for number, path in enumerate(record_set.paths):
    for _, name, labels in _records(path, _inside(record_set, number)):
      yield name, labels


class Choice:
  """What a picture must have to be taken: one of the classes, an id that is listed or is not.

  Attributes:
    labels: class ids in class order.
    takes_all: whether every picture is taken.
    listed_out: ids that are listed to be left out; None: there is no list.
    listed: ids that are listed to be kept; None: there is no list.
    counts: whether the classes of the pictures are counted.
    ancestors: whether with their ancestors.
  """

  def __init__(self, labels: Sequence[str], hierarchy: Hierarchy | None = None,
               classes: Sequence[str] | None = None, keep_ids: Collection[bytes] | None = None,
               leave_out_ids: Collection[bytes] | None = None, counts: bool = True):
    """Takes the conditions.

    Args:
      labels: class ids in class order.
      hierarchy: of these classes: pictures of a descendant carry its ancestors too.
      classes: ids of which a picture must carry at least one; None: no matter which.
      keep_ids: picture ids; None: all.
      leave_out_ids: picture ids; None: there is no list, which an empty one is.
      counts: whether the classes of the pictures are counted, where there are labels.

    Raises:
      errors.DataError: one of `classes` is no class, or there are no labels.
    """
    if classes is not None and not labels:
      raise errors.DataError("no-labels", "class list", "records without a label map",
                             "a vocabulary", "Give the hierarchy of the records.")
    self.labels = tuple(labels)
    self.counts, self.ancestors = counts and bool(labels), hierarchy is not None
    self._splits: np.ndarray
    self._above: np.ndarray
    self._splits, self._above = (
        (np.arange(len(labels) + 1), np.arange(len(labels))) if hierarchy is None
        else hierarchy.closure())
    self._wanted = None if classes is None else self._with_descendants(classes)
    self._keep, self._leave_out = keep_ids, leave_out_ids or ()
    self.listed_out = None if leave_out_ids is None else len(leave_out_ids)
    self.listed = None if keep_ids is None else len(keep_ids)
    self.takes_all = classes is None and keep_ids is None and not leave_out_ids

  @property
  def classes(self) -> int | None:
    """Classes of which a picture must carry one, their descendants included; None: any or none."""
    return None if self._wanted is None else int(self._wanted.sum())

  def _with_descendants(self, classes: Sequence[str]) -> np.ndarray:
    """Bool `[classes]`."""
    index = {label: i for i, label in enumerate(self.labels)}
    listed = np.zeros(len(self.labels), bool)
    for label in classes:
      if label not in index:
        raise errors.DataError("unknown-class", "class list", errors.printable(label),
                               f"an id of the {len(index)} classes")
      listed[index[label]] = True
    below = np.repeat(np.arange(len(listed)), np.diff(self._splits))[listed[self._above]]
    listed[below] = True
    return listed

  def pieces(self, record_set: manifest.RecordSet, shard: int) -> Iterator[Piece]:
    """Looks at the pictures of one shard in order; at none of their bytes where it need not.

    Raises:
      errors.DataError: the shard is damaged.
    """
    none, inside = np.zeros(0, np.int64), _inside(record_set, shard)
    if self.takes_all and not self.counts:
      numbers = np.flatnonzero(inside)
      yield Piece(len(numbers), 0, 0, numbers, none, none)
      return
    records = _records(record_set.paths[shard], inside)
    while batch := list(itertools.islice(records, _BATCH)):
      numbers = np.array([number for number, _, _ in batch])
      ids = [name for _, name, _ in batch]
      lists = [classes for _, _, classes in batch]
      labels = np.fromiter(itertools.chain.from_iterable(lists), np.int64)
      pictures = np.repeat(np.arange(len(ids)), [len(classes) for classes in lists])
      known = (labels >= 0) & (labels < len(self.labels))
      pictures, labels = pictures[known], labels[known]
      left_out = np.array([name in self._leave_out for name in ids], bool)
      kept = np.array([self._keep is None or name in self._keep for name in ids], bool)
      taken = self._of_classes(len(ids), pictures, labels) & kept & ~left_out
      order = np.cumsum(taken) - 1
      of_taken = taken[pictures]
      pairs = none, none
      if self.counts:
        pairs = self._pairs(order[pictures[of_taken]], labels[of_taken])
      yield Piece(len(ids), int(left_out.sum()), int(kept.sum()), numbers[taken], *pairs)

  def _of_classes(self, count: int, pictures: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Bool `[count]`: which of the pictures have a class that is asked for."""
    if self._wanted is None:
      return np.ones(count, bool)
    return np.bincount(pictures[self._wanted[labels]], minlength=count) > 0

  def _pairs(self, pictures: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and their classes with ancestors, each pair once."""
    lengths = np.diff(self._splits)[labels]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    classes = self._above[np.repeat(self._splits[labels], lengths) + within]
    pairs = np.unique(np.repeat(pictures, lengths) * len(self.labels) + classes)
    return pairs // max(len(self.labels), 1), pairs % max(len(self.labels), 1)


def _inside(record_set: manifest.RecordSet, shard: int) -> np.ndarray:
  """Bool `[use]`: which of the leading records of a shard belong to the set."""
  index = record_set.bit_index
  return np.ones(record_set.shards[shard].use, bool) if index is None else index.bits(shard)


def _records(path: str, inside: np.ndarray) -> Iterator[tuple[int, bytes, Sequence[int]]]:
  """(number, id, class indices) of those of the leading records of a file that are inside."""
  number = -1
  with open(path, "rb") as file:
    for number, (offset, length) in enumerate(itertools.islice(framing.walk(path), len(inside))):
      if inside[number]:
        record, whole = framing.read(file, offset, length)
        if not whole:
          raise errors.DataError("corrupt-record", f"{path} record {number} @ byte {offset}",
                                 "it fails its checksum", "a whole record")
        yield number, *identified(record)
  if number + 1 < len(inside):
    raise errors.DataError(
        "truncated-file", path, f"{number + 1} records", f"at least {len(inside)}")
