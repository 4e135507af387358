"""The labels of a record set, a batch of pictures at a time, without decoding a picture."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.reading import order, parse_labels
from jft_reps.data.records import manifest, schema

_BATCH = 1024
Closure = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Pairs:
  """Pairs of a picture and a class, each once, sorted.

  Attributes:
    rows: int64 `[pairs]`, the picture's place in the batch.
    classes: int64 `[pairs]`.
  """

  rows: np.ndarray
  classes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Batch:
  """Labels of n usable pictures.

  Attributes:
    ids: of the pictures.
    labels, unknown, absent: what is true, may be, and was verified not to be.
    left_out: records that a reader would leave out before it decodes the picture.
  """

  ids: list[str]
  labels: Pairs
  unknown: Pairs
  absent: Pairs
  left_out: int


def batches(record_set: manifest.RecordSet, num_classes: int) -> Iterator[Batch]:
  """Labels of all pictures of a set, in order of the hash of their ids.

  Args:
    record_set: a checked set.
    num_classes: a record with a label outside of [0, num_classes) is left out.

  Raises:
    errors.DataError: the set is empty, or a shard vanished or is damaged.
  """
  parse = _parser(num_classes)
  try:
    for serialized in order.serialized(record_set).batch(_BATCH).prefetch(1):
      ids, lists = parse(serialized)
      names = [i.decode("utf-8", "surrogateescape") for i in ids.numpy().tolist()]
      labels, unknown, absent = (
          unique(rows.numpy(), classes.numpy(), num_classes) for rows, classes in lists)
      yield Batch(names, labels, unknown, absent, len(serialized) - len(names))
  except tf.errors.OpError as error:
    raise manifest.diagnose(record_set) or errors.DataError(
        "unreadable-records", record_set.directory, error.message, "records that can be read"
    ) from error


@functools.lru_cache(maxsize=8)  # tracing takes longer than a million labels
def _parser(
    num_classes: int
) -> Callable[[tf.Tensor], tuple[tf.Tensor, list[tuple[tf.Tensor, tf.Tensor]]]]:
  """From records `[n]` to ids `[m]` of the usable ones, and (rows, classes) of each list."""
  keys = (schema.LABEL, schema.UNKNOWN, schema.ABSENT)
  features = {key: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64) for key, dtype in (
      (schema.ENCODED, tf.string), (schema.SOURCE_ID, tf.string),
      *((key, tf.int64) for key in keys))}

  @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
  def parse(serialized: tf.Tensor):
    parsed = parse_labels.parse_each(serialized, features)
    fine = tf.equal(parsed[schema.ENCODED].row_lengths(), 1)
    for key in keys:
      fine &= ~parse_labels.outside(parsed[key], num_classes)
    lists = [tf.ragged.boolean_mask(parsed[key], fine) for key in keys]
    ids = tf.boolean_mask(parse_labels.first_of_each(parsed[schema.SOURCE_ID]), fine)
    return ids, [(one.value_rowids(), one.values) for one in lists]

  return parse


def unique(rows: np.ndarray, classes: np.ndarray, num_classes: int) -> Pairs:
  """Every pair once, sorted."""
  keys = np.unique(np.asarray(rows, np.int64) * num_classes + classes)
  return Pairs(keys // max(num_classes, 1), keys % max(num_classes, 1))


def expand(pairs: Pairs, closure: Closure | None) -> Pairs:
  """The pairs with those that follow from them, each once.

  Args:
    pairs: of pictures and classes.
    closure: `Hierarchy.closure()` for what labels imply, `implied_absences` of it for what
      absences imply; None: nothing follows.
  """
  if closure is None:
    return pairs
  splits, values = closure
  lengths = np.diff(splits)[pairs.classes]
  first = np.repeat(splits[pairs.classes] - (np.cumsum(lengths) - lengths), lengths)
  classes = values[first + np.arange(lengths.sum())]
  return unique(np.repeat(pairs.rows, lengths), classes, len(splits) - 1)


def implied_absences(closure: Closure) -> Closure:
  """Every class with its descendants, in the form of `Hierarchy.closure()`.

  Where there is no dog there is no poodle.
  """
  splits, ancestors = closure
  classes = np.repeat(np.arange(len(splits) - 1), np.diff(splits))
  counts = np.bincount(ancestors, minlength=len(splits) - 1)
  return np.append(0, np.cumsum(counts)), classes[np.argsort(ancestors, kind="stable")]
