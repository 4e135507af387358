"""Label ids of a batch to multi-hot targets with all ancestors, in graph ops."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from jft_reps.errors import ConfigError


class LabelExpansion:
  """Turns padded label ids into `[batch, classes]` targets, ancestors included.

  Labels of the fine classes imply the coarser ones (Sun et al. 2017, section 4.1), so records
  hold only what was annotated and the rest is added here. A label that is repeated or implied
  several times counts once. The ancestors are constants of the graph in compressed rows, never
  a classes × classes matrix; the ops run wherever the graph does, on remote workers as well.

  An id that is no class (anything but -1 to classes - 1) is an `InvalidArgumentError` on CPU,
  where input pipelines run: it never becomes another label, nor is it dropped. Check ids when
  records are parsed.
  """

  def __init__(
      self,
      num_classes: int,
      closure: tuple[np.ndarray, np.ndarray] | None = None,
      dtype: tf.DType = tf.float32,
      classes: Sequence[int] | np.ndarray | None = None,
  ):
    """Takes the ancestors to add.

    Args:
      num_classes: classes of the vocabulary: ids lie in [0, num_classes).
      closure: `Hierarchy.closure()`: `row_splits` `[classes + 1]` and `values`, each class with
        its ancestors; None: labels stand for themselves only.
      dtype: of the targets; uint8 takes a quarter of float32's time.
      classes: the classes that targets have columns for, in this order; None: all. What a label
        outside of them implies among them is there all the same.

    Raises:
      ConfigError: the hierarchy has another number of classes, its rows are malformed, or
        `classes` are not different classes.
    """
    if closure is None:
      closure = np.arange(num_classes + 1), np.arange(num_classes)
    row_splits, values = (np.asarray(part) for part in closure)
    if len(row_splits) != num_classes + 1:
      raise ConfigError(
          "size-mismatch", "hierarchy", f"{len(row_splits) - 1} classes in the hierarchy, "
          f"{num_classes} in the model", "the same number",
          "Set the model's number of classes to that of the hierarchy.")
    well_formed = row_splits[0] == 0 and row_splits[-1] == values.size < 2**31
    well_formed = well_formed and not np.any(np.diff(row_splits) < 0)
    if not well_formed or np.any((values < 0) | (values >= num_classes)):
      raise ConfigError("bad-closure", "hierarchy", "malformed rows", "Hierarchy.closure()")
    self.num_classes, self.dtype = num_classes, tf.as_dtype(dtype)
    self._closure = row_splits.astype(np.int32), values.astype(np.int32)
    self._columns = None if classes is None else _columns(num_classes, np.asarray(classes))
    self.num_targets = num_classes if classes is None else len(classes)

  def __call__(self, ids: tf.Tensor) -> tf.Tensor:
    """Multi-hot targets.

    Args:
      ids: int32 or int64 `[batch, k]`, padded with -1 anywhere.

    Returns:
      `[batch, num_targets]` of `dtype`: 1 for every label and each of its ancestors, else 0.
    """
    return self._dense(ids, self._pairs(ids, self._ancestors), label=1, other=0)

  def unknown(self, targets: tf.Tensor, unknown_ids: tf.Tensor) -> tf.Tensor:
    """Classes whose absence from the labels says nothing; they must not count as negative.

    A class is unknown if it or one of its ancestors is listed as unknown: who cannot tell
    whether there is a dog cannot tell about a poodle either. What the labels imply is known.

    Args:
      targets: `[batch, num_targets]`, what `__call__` made of the labels.
      unknown_ids: int32 or int64 `[batch, m]`, padded with -1 anywhere.

    Returns:
      `[batch, num_targets]` of `dtype`: 1 for unknown classes, else 0.
    """
    def listed() -> tf.Tensor:
      pairs = self._pairs(unknown_ids, self._descendants)
      classes = self._dense(unknown_ids, pairs, label=1, other=0)
      return tf.where(tf.equal(targets, 0), classes, tf.zeros_like(classes))

    # Most sets have none: then a fill is all it costs.
    found = tf.cond(tf.reduce_any(tf.not_equal(unknown_ids, -1)), listed,
                    lambda: tf.zeros_like(targets, self.dtype))
    found.set_shape([unknown_ids.shape[0], self.num_targets])
    return found

  def unverified(self, ids: tf.Tensor, absent_ids: tf.Tensor) -> tf.Tensor:
    """Classes that are neither present nor verified as absent, for partially labelled pictures.

    Who has verified that there is no dog has also verified that there is no poodle: a class is
    absent if it or one of its ancestors is listed as absent, unless the labels imply it.

    Args:
      ids: the labels, int32 or int64 `[batch, k]`, padded with -1 anywhere.
      absent_ids: int32 or int64 `[batch, m]`, padded with -1 anywhere.

    Returns:
      `[batch, num_targets]` of `dtype`: 0 for present and absent classes, else 1.
    """
    present, absent = self._pairs(ids, self._ancestors), self._pairs(absent_ids, self._descendants)
    return self._dense(ids, tf.concat([present, absent], 0), label=0, other=1)

  @functools.cached_property
  def _ancestors(self) -> tuple[np.ndarray, np.ndarray]:
    return self._as_columns(self._closure)

  @functools.cached_property
  def _descendants(self) -> tuple[np.ndarray, np.ndarray]:
    row_splits, ancestors = self._closure
    classes = np.repeat(np.arange(self.num_classes, dtype=np.int32), np.diff(row_splits))
    counts = np.bincount(ancestors, minlength=self.num_classes)
    splits = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return self._as_columns((splits, classes[np.argsort(ancestors, kind="stable")]))

  def _as_columns(self, rows: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The rows with the columns of their classes, without the classes that have none."""
    if self._columns is None:
      return rows
    row_splits, values = rows
    columns = self._columns[values]
    kept = np.concatenate([[0], np.cumsum(columns >= 0)]).astype(np.int32)
    return kept[row_splits], columns[columns >= 0]

  def _pairs(self, ids: tf.Tensor, rows: tuple[np.ndarray, np.ndarray]) -> tf.Tensor:
    """Int32 `[n, 2]`: picture in the batch, and column in the row of one of its ids."""
    row_splits, values = rows
    places = tf.where(tf.not_equal(ids, -1))
    labels = tf.gather_nd(ids, places)
    starts = tf.gather(tf.constant(row_splits[:-1]), labels)
    ends = tf.gather(tf.constant(row_splits[1:]), labels)
    positions = tf.ragged.range(starts, ends).flat_values
    pictures = tf.repeat(tf.cast(places[:, 0], tf.int32), ends - starts)
    return tf.stack([pictures, tf.gather(tf.constant(values), positions)], axis=1)

  def _dense(self, ids: tf.Tensor, pairs: tf.Tensor, label: int, other: int) -> tf.Tensor:
    # Of six ways measured the fastest: one pass over the output, repeated places allowed.
    dense = tf.raw_ops.SparseToDense(
        sparse_indices=pairs,
        output_shape=tf.stack([tf.shape(ids)[0], self.num_targets]),
        sparse_values=tf.constant(label, self.dtype),
        default_value=tf.constant(other, self.dtype),
        validate_indices=False,
    )
    dense.set_shape([ids.shape[0], self.num_targets])
    return dense


def _columns(num_classes: int, classes: np.ndarray) -> np.ndarray:
  """Int32 `[num_classes]`: the place of each class in `classes`, or -1."""
  columns = np.full(num_classes, -1, np.int32)
  inside = bool(classes.size) and 0 <= classes.min() and classes.max() < num_classes
  if not inside or np.unique(classes).size < classes.size:
    raise ConfigError("bad-classes", "classes", f"{classes.size} indices",
                      f"at least one, each once and from 0 to {num_classes - 1}")
  columns[classes] = np.arange(classes.size)
  return columns
