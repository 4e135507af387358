"""Label ids of a batch to multi-hot targets with all ancestors, in graph ops."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from jft_reps.errors import ConfigError


class LabelExpansion:
  """Turns padded label ids into `[batch, classes]` targets, ancestors included.

  Labels of the fine classes imply the coarser ones (Sun et al. 2017, section 3), so records
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
  ):
    """Takes the ancestors to add.

    Args:
      num_classes: classes of the model.
      closure: `Hierarchy.closure()`: `row_splits` `[classes + 1]` and `values`, each class with
        its ancestors; None: labels stand for themselves only.
      dtype: of the targets; uint8 takes a quarter of float32's time.

    Raises:
      ConfigError: the hierarchy has another number of classes, or its rows are malformed.
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
    self._ancestors = row_splits.astype(np.int32), values.astype(np.int32)

  def __call__(self, ids: tf.Tensor) -> tf.Tensor:
    """Multi-hot targets.

    Args:
      ids: int32 or int64 `[batch, k]`, padded with -1 anywhere.

    Returns:
      `[batch, classes]` of `dtype`: 1 for every label and each of its ancestors, else 0.
    """
    return self._dense(ids, self._pairs(ids, self._ancestors), label=1, other=0)

  def unknown(self, targets: tf.Tensor, unknown_ids: tf.Tensor) -> tf.Tensor:
    """Classes whose absence from the labels says nothing; they must not count as negative.

    A class is unknown if it or one of its ancestors is listed as unknown: who cannot tell
    whether there is a dog cannot tell about a poodle either. What the labels imply is known.

    Args:
      targets: `[batch, classes]`, what `__call__` made of the labels.
      unknown_ids: int32 or int64 `[batch, m]`, padded with -1 anywhere.

    Returns:
      `[batch, classes]` of `dtype`: 1 for unknown classes, else 0.
    """
    def listed() -> tf.Tensor:
      pairs = self._pairs(unknown_ids, self._descendants)
      classes = self._dense(unknown_ids, pairs, label=1, other=0)
      return tf.where(tf.equal(targets, 0), classes, tf.zeros_like(classes))

    # Most sets have none: then a fill is all it costs.
    found = tf.cond(tf.reduce_any(tf.not_equal(unknown_ids, -1)), listed,
                    lambda: tf.zeros_like(targets, self.dtype))
    found.set_shape([unknown_ids.shape[0], self.num_classes])
    return found

  @functools.cached_property
  def _descendants(self) -> tuple[np.ndarray, np.ndarray]:
    row_splits, ancestors = self._ancestors
    classes = np.repeat(np.arange(self.num_classes, dtype=np.int32), np.diff(row_splits))
    counts = np.bincount(ancestors, minlength=self.num_classes)
    splits = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return splits, classes[np.argsort(ancestors, kind="stable")]

  def _pairs(self, ids: tf.Tensor, rows: tuple[np.ndarray, np.ndarray]) -> tf.Tensor:
    """Int32 `[n, 2]`: picture in the batch, and class in the row of one of its ids."""
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
        output_shape=tf.stack([tf.shape(ids)[0], self.num_classes]),
        sparse_values=tf.constant(label, self.dtype),
        default_value=tf.constant(other, self.dtype),
        validate_indices=False,
    )
    dense.set_shape([ids.shape[0], self.num_classes])
    return dense
