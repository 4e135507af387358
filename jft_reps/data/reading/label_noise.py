"""Wrong and missing labels on purpose, for studies of what noise costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.errors import ConfigError

_MISSING, _WRONG, _WHICH = range(3)  # independent draws of every label
_RESOLUTION = 2**53


class LabelNoise:
  """Leaves labels out, or replaces them by others that are not true of the picture.

  Of JFT's labels about 20 % are wrong, and an unknown share is missing (Sun et al. 2017,
  section 3). Each label is left out with probability `missing`, and each that stays is replaced
  with probability `wrong`. What happens to a label is a function of (seed, id of the picture,
  place in its list): the same in every epoch, on every worker and after resuming. The labels
  that are missing at one rate are missing at every higher one, and those that are wrong are
  wrong, and by the same class, at every higher rate `wrong`.

  A class is taken to be true of a picture if it is one of its labels or an ancestor of one, and
  to be possibly true if it lies below one of its most specific labels. A replacement is neither;
  where no candidate is left, the label is left out. The picture's other labels stay, so a label
  that is repeated or implied by another may still be there; two labels of one picture may be
  replaced by the same class, which then counts once.

  Pictures without an id share their draws. All of it is graph ops.
  """

  def __init__(
      self, num_classes: int, wrong: float = 0.0, missing: float = 0.0, seed: int = 0,
      candidates: Sequence[int] | None = None,
      closure: tuple[np.ndarray, np.ndarray] | None = None,
  ):
    """Takes the rates.

    Args:
      num_classes: of the vocabulary.
      wrong: probability in [0, 1] that a label which is not left out is replaced.
      missing: probability in [0, 1] that a label is left out.
      seed: of all draws, at least 0.
      candidates: classes that replace others, each equally likely; None: those without a class
        below them, so that a wrong label is as specific as most labels are.
      closure: `Hierarchy.closure()`; None: no class is an ancestor of another.

    Raises:
      ConfigError: a rate that is no probability, a negative seed, candidates that are no classes.
    """
    for key, rate in (("wrong", wrong), ("missing", missing)):
      if not 0.0 <= rate <= 1.0:
        raise ConfigError("label-noise", f"noise.{key}", repr(rate), "a probability from 0 to 1")
    if not 0 <= seed < 2**62:
      raise ConfigError("label-noise", "noise.seed", repr(seed), "an integer from 0")
    self._wrong, self._missing, self._seed = wrong, missing, int(seed)
    row_splits, values = closure or (np.arange(num_classes + 1), np.arange(num_classes))
    of = np.repeat(np.arange(num_classes), np.diff(row_splits))
    proper = values != of
    leaves = np.setdiff1d(np.arange(num_classes), values[proper])
    self._candidates = np.asarray(leaves if candidates is None else candidates, np.int64)
    splits = np.concatenate([[0], np.cumsum(proper)])[row_splits]
    self._above = LabelExpansion(num_classes, (splits, values[proper]), tf.uint8)
    self._related = LabelExpansion(num_classes, closure, tf.uint8, self._candidates)

  def __call__(self, labels: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Labels with noise.

    Args:
      labels: int32 or int64 `[batch, k]`, padded with -1 anywhere.
      ids: string `[batch]`, of the pictures.

    Returns:
      Like `labels`.
    """
    if not self._wrong and not self._missing:
      return labels
    places = tf.where(tf.not_equal(labels, -1))
    pictures, columns = tf.unstack(places, axis=1)
    keys = tf.strings.join([tf.strings.as_string(columns), tf.gather(ids, pictures)], "/")
    missing = self._draw(keys, _MISSING) < self._missing
    wrong = ~missing & (self._draw(keys, _WRONG) < self._wrong)
    gone, swapped = tf.boolean_mask(places, missing), tf.boolean_mask(places, wrong)
    others = self._others(
        tf.gather(labels, swapped[:, 0]), self._draw(tf.boolean_mask(keys, wrong), _WHICH))
    none = tf.fill(tf.shape(gone)[:1], tf.constant(-1, labels.dtype))
    noisy = tf.tensor_scatter_nd_update(labels, swapped, others)
    return tf.tensor_scatter_nd_update(noisy, gone, none)

  def _others(self, labels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """A class `[n]` for each row of `labels`, `[n, k]`, that is not true of it, or -1."""
    above = self._above(labels)
    implied = tf.gather(above, tf.maximum(labels, 0), batch_dims=1)
    specific = tf.where(implied > 0, tf.constant(-1, labels.dtype), labels)
    taken = tf.where(tf.equal(self._related.unverified(labels, specific), 0))
    rows, columns = tf.unstack(taken, axis=1)
    counts = tf.math.bincount(
        tf.cast(rows, tf.int32), minlength=tf.shape(labels)[0], dtype=tf.int64)
    free = self._candidates.size - counts
    rank = tf.cast(tf.floor(draws * tf.cast(free, tf.float64)), tf.int64)
    # The place of the free candidate with `rank` free ones before it: as many as are taken
    # before it come on top.
    starts = tf.gather(tf.cumsum(counts, exclusive=True), rows)
    free_before = columns - (tf.range(tf.size(rows, tf.int64)) - starts)
    passed = tf.cast(free_before <= tf.gather(rank, rows), tf.int64)
    place = rank + tf.math.unsorted_segment_sum(passed, rows, tf.size(counts))
    last = self._candidates.size - 1
    found = tf.gather(tf.constant(self._candidates), tf.minimum(place, last))
    return tf.where(free > 0, tf.cast(found, labels.dtype), tf.constant(-1, labels.dtype))

  def _draw(self, keys: tf.Tensor, stream: int) -> tf.Tensor:
    """float64 `[n]` in [0, 1), from a keyed hash that is the same on every machine."""
    hashed = tf.strings.to_hash_bucket_strong(keys, _RESOLUTION, key=[self._seed, stream])
    return tf.cast(hashed, tf.float64) / _RESOLUTION
