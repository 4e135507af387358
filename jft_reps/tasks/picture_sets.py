"""The labelled picture sets of a task: batches, vocabulary, and what went wrong in reading."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data import label_map, manifest, picture_batches
from jft_reps.errors import DataError, printable
from jft_reps.ops import images as image_ops

Batch = Mapping[str, Any]
_TOO_MANY = re.compile(r"too many bad records: (.*?)(; expected (.*?))?['\"\]]*$", re.M)
_DIAGNOSED = 2**34  # bytes of records up to which an error of the reader has all of them read


class PictureSets:
  """Record sets that share a vocabulary.

  Args:
    records: folder of the record sets.
    train_split: name of the training split; None for evaluation only.
    eval_splits: names of the evaluation splits.
    labels: class ids in class order, which those of the records must be; None: those of
      `labels.txt` beside the records.
    batch_size: per worker.
    eval_batch_size: pictures per evaluation batch.
    resize, crop: pictures are resized to `resize` square and cropped to `crop`: at random and
      mirrored for training, in the centre for evaluation.
    max_labels, eval_max_labels: labels of a picture; more is a reason to drop it.
    keep_empty: use pictures without a label.
    shuffle: encoded pictures in the shuffle buffer.

  Attributes:
    labels: class ids in class order.
    train_set: the training `RecordSet` or None.
  """

  def __init__(
      self, records: str | os.PathLike[str], train_split: str | None,
      eval_splits: Sequence[str], labels: Sequence[str] | None = None, batch_size: int = 32,
      eval_batch_size: int = 64, resize: int = 340, crop: int = 299, max_labels: int = 64,
      eval_max_labels: int = 256, keep_empty: bool = True, shuffle: int = 2048):
    self.records, self.train_split, self.eval_splits = records, train_split, tuple(eval_splits)
    self.train_set = None if train_split is None else manifest.load(records, train_split)
    self._sets = {split: manifest.load(records, split) for split in self.eval_splits}
    self._datasets: dict[str, tf.data.Dataset] = {}
    self.labels = self._vocabulary(labels)
    self._batch_size, self._eval_batch_size = batch_size, eval_batch_size
    self._resize, self._crop, self._shuffle = resize, crop, shuffle
    self._max_labels, self._eval_max_labels = max_labels, eval_max_labels
    self._keep_empty = keep_empty

  @property
  def pictures(self) -> dict[str, Any]:
    """How a stored picture becomes the network's input, for the notes of a checkpoint."""
    return {"resize": self._resize, "crop": self._crop, "aspect": "not kept"}

  def _vocabulary(self, labels: Sequence[str] | None) -> tuple[str, ...]:
    sets = [s for s in (self.train_set, *self._sets.values()) if s is not None]
    stored = {s.split: tuple(found) for s in sets
              if (found := picture_batches.labels_of(s)) is not None}
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

  def train_batches(self, worker, workers, seed, position,
                    targets: Callable[[Batch], Batch]) -> tf.data.Dataset:
    """Endless training batches; arguments as those of `Task.train_dataset`.

    Args:
      targets: adds the targets to a batch, in graph ops.
    """
    if self.train_set is None:
      raise DataError("no-train-split", self.records, "no training split was named")
    batches = picture_batches.train_batches(
        self.train_set, self._batch_size, num_classes=len(self.labels), worker=worker,
        workers=workers, seed=seed, position=position, max_labels=self._max_labels,
        picture=image_ops.RandomCrop(self._resize, self._crop), shuffle=self._shuffle,
        keep_empty=self._keep_empty)
    return batches.map(targets, num_parallel_calls=1).prefetch(2)

  def record_set(self, split: str) -> manifest.RecordSet:
    """The records of any split, those not named at the start too."""
    if split not in self._sets:
      self._sets[split] = manifest.load(self.records, split)
    return self._sets[split]

  def fingerprint(self, split: str) -> str:
    """Of the records of a split, from the checksums in their manifest."""
    text = ",".join(shard.sha256 for shard in self.record_set(split).shards)
    return hashlib.sha256(text.encode()).hexdigest()

  def eval_batches(self, split: str, targets: Callable[[Batch], Batch]) -> tf.data.Dataset:
    """Every picture of any split once, centre crops; built once, as tracing takes its time."""
    if split not in self._datasets:
      record_set = self.record_set(split)
      batches = picture_batches.eval_batches(
          record_set, self._eval_batch_size, num_classes=len(self.labels),
          picture=image_ops.CenterCrop(self._resize, self._crop),
          max_labels=self._eval_max_labels, keep_empty=self._keep_empty)
      self._datasets[split] = batches.map(targets).prefetch(2)
    return self._datasets[split]

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
    if isinstance(error, tf.errors.InvalidArgumentError):
      return None
    if sum(shard.bytes for shard in record_set.shards) <= _DIAGNOSED:
      return manifest.diagnose(record_set)
    try:
      manifest.check(record_set)
    except DataError as quick:
      return quick
    return None

  def describe_dropped(self, rows: np.ndarray) -> list[str]:
    """Reason, file, record and epoch of each row of `quarantined`, `[n, 4]`."""
    lines = picture_batches.quarantine_lines(self.train_set, rows)
    return [line.replace("\t", ", ") for line in lines]


def _files(record_set: manifest.RecordSet) -> str:
  """The names of the first shards, and how many there are."""
  names = [shard.file for shard in record_set.shards]
  return ", ".join(names[:3]) + (f", … ({len(names)} files)" if len(names) > 3 else "")
