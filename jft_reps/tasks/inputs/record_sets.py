"""The record sets of a task that share a vocabulary, and what went wrong in reading them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.reading import label_batches
from jft_reps.data.records import label_map, manifest
from jft_reps.errors import DataError, printable

_TOO_MANY = re.compile(r"too many bad records: (.*?)(; expected (.*?))?['\"\]]*$", re.M)
_DIAGNOSED = 2**34  # bytes of records up to which an error of the reader has all of them read


class RecordSets:
  """Record sets that share a vocabulary.

  Args:
    records: folder of the record sets.
    train_split: name of the training split; None for evaluation only.
    eval_splits: names of the evaluation splits.
    labels: class ids in class order, which those of the records must be; None: those of
      `labels.txt` beside the records.

  Attributes:
    labels: class ids in class order.
    train_set: the training `RecordSet` or None.
  """

  def __init__(self, records: str | os.PathLike[str], train_split: str | None,
               eval_splits: Sequence[str], labels: Sequence[str] | None = None):
    self.records, self.train_split, self.eval_splits = records, train_split, tuple(eval_splits)
    self.train_set = None if train_split is None else manifest.load(records, train_split)
    self._sets = {split: manifest.load(records, split) for split in self.eval_splits}
    self.labels = self._vocabulary(labels)

  def _vocabulary(self, labels: Sequence[str] | None) -> tuple[str, ...]:
    sets = [s for s in (self.train_set, *self._sets.values()) if s is not None]
    stored = {s.split: tuple(found) for s in sets
              if (found := label_batches.labels_of(s)) is not None}
    if labels is None:
      if not stored:
        raise DataError("no-labels", self.records, "neither a hierarchy nor labels.txt",
                        "a vocabulary", "Build the records with --labels or --hierarchy.")
      labels = next(iter(stored.values()))
    for split, found in stored.items():
      if found != tuple(labels):
        raise DataError("labels-differ", f"{self.records}, split {split}",
                        f"{len(found)} labels", f"the {len(labels)} of the hierarchy, in its order",
                        "Build the records with this hierarchy.")
    return tuple(labels)

  def class_indices(self, path: str | os.PathLike[str]) -> list[int]:
    """Indices of the classes that a text file names, one id per line.

    Raises:
      DataError: no such file, a blank line, an id given twice or of no class; names the line.
    """
    index = {label: i for i, label in enumerate(self.labels)}
    named = label_map.read(path)
    for line, label in enumerate(named, 1):
      if label not in index:
        raise DataError("unknown-class", f"{os.fspath(path)}:{line}", printable(label),
                        f"an id of the {len(index)} classes")
    return [index[label] for label in named]

  def training_records(self) -> manifest.RecordSet:
    """The records of the training split.

    Raises:
      DataError: none was named.
    """
    if self.train_set is None:
      raise DataError("no-train-split", self.records, "no training split was named")
    return self.train_set

  def record_set(self, split: str) -> manifest.RecordSet:
    """The records of any split, those not named at the start too."""
    if split not in self._sets:
      self._sets[split] = manifest.load(self.records, split)
    return self._sets[split]

  def fingerprint(self, split: str) -> str:
    """Of the pictures of a split, from the checksums in their manifest."""
    found = self.record_set(split)
    parts = [s.sha256 if s.use == s.records else f"{s.sha256}:{s.use}" for s in found.shards]
    text = ",".join(parts + ([] if found.index is None else [found.index_sha256]))
    return hashlib.sha256(text.encode()).hexdigest()

  def identity(self, split: str) -> dict[str, Any]:
    """Which pictures a split is: where it lies, how many, and a checksum of them."""
    return {"records": os.fspath(self.records), "split": split,
            "pictures": self.record_set(split).records, "sha256": self.fingerprint(split)}

  def explain(self, error: BaseException, split: str | None = None) -> DataError | None:
    """Names the counts of bad records, or the damaged file, behind an error of the reader.

    Args:
      error: of TensorFlow.
      split: the evaluation split that was being read; None: the training split.
    """
    record_set = self.train_set if split is None else self._sets.get(split)
    if record_set is None:
      return None
    too_many = _TOO_MANY.search(str(error))
    if too_many:
      fix = "See quarantine.jsonl in the run directory." if split is None else (
          f"Build its records again: {_files(record_set)}.")
      return DataError("too-many-bad-records", f"{self.records}, split {record_set.split}",
                       too_many[1], too_many[3] or "", fix)
    in_files = not isinstance(error, tf.errors.InvalidArgumentError)
    if in_files and sum(shard.bytes for shard in record_set.shards) <= _DIAGNOSED:
      return manifest.diagnose(record_set)
    try:
      (manifest.check if in_files else manifest.check_subset)(record_set)
    except DataError as quick:
      return quick
    return None

  def describe_dropped(self, rows: np.ndarray) -> list[str]:
    """Reason, file, record and epoch of each row of `quarantined`, `[n, 4]`."""
    lines = label_batches.quarantine_lines(self.training_records(), rows)
    return [line.replace("\t", ", ") for line in lines]


def _files(record_set: manifest.RecordSet) -> str:
  """The names of the first shards, and how many there are."""
  names = [shard.file for shard in record_set.shards]
  return ", ".join(names[:3]) + (f", … ({len(names)} files)" if len(names) > 3 else "")
