"""Which anchor answers for which object, and which of them a step trains on."""

from __future__ import annotations

import tensorflow as tf

BACKGROUND, IGNORED = -1, -2


def match(overlaps: tf.Tensor, positive: float, negative: float, force: bool = False) -> tf.Tensor:
  """Assigns each box an object by overlap, as `argmax_matcher` of Huang et al. 2017.

  Args:
    overlaps: intersection over union `[boxes, objects]`; there may be no objects.
    positive: a box with at least this overlap takes the object it overlaps most.
    negative: a box with less overlap than this is background; what lies between is ignored.
    force: every object gets the box that overlaps it most, however little; one that no box
      touches gets none.

  Returns:
    int32 `[boxes]`: index of the object, `BACKGROUND` or `IGNORED`.
  """
  # One object without overlap more, so that there always is one.
  overlaps = tf.pad(overlaps, [[0, 0], [0, 1]])
  best = tf.reduce_max(overlaps, 1)
  found = tf.argmax(overlaps, 1, tf.int32)
  found = tf.where(best >= positive, found, tf.where(best < negative, BACKGROUND, IGNORED))
  if not force:
    return found
  boxes, objects = tf.unstack(tf.shape(overlaps))
  # A box wanted by several objects goes to the first of them.
  wanted = tf.argmax(tf.pad(overlaps, [[0, 1], [0, 0]]), 0, tf.int32)
  touched = tf.reduce_max(tf.pad(overlaps, [[0, 1], [0, 0]]), 0) > 0.0
  wanted = tf.where(touched, wanted, boxes)
  first = tf.math.unsorted_segment_min(tf.range(objects), wanted, boxes + 1)[:boxes]
  return tf.where(first < objects, first, found)


def sample(positive: tf.Tensor, negative: tf.Tensor, size: int, fraction: float,
           seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Draws boxes to train on, as `balanced_positive_negative_sampler` of Huang et al. 2017.

  Args:
    positive, negative: bool `[boxes]`, the candidates.
    size: boxes to draw; fewer where there are fewer.
    fraction: at most this share of `size` is positive; negatives fill up the rest.
    seed: int64 `[2]`; the draw is a function of it.

  Returns:
    int32 `[p]` and `[n]`: indices of the positive and of the negative boxes drawn.
  """
  keys = tf.random.stateless_uniform(tf.shape(positive), seed)
  drawn = _draw(positive, keys, tf.constant(int(size * fraction)))
  return drawn, _draw(negative, keys, size - tf.size(drawn))


def _draw(candidates: tf.Tensor, keys: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
  index = tf.cast(tf.where(candidates)[:, 0], tf.int32)
  chosen = tf.math.top_k(tf.gather(keys, index), tf.minimum(count, tf.size(index))).indices
  return tf.gather(index, chosen)
