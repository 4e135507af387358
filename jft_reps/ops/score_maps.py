"""Maps of scores at every k-th pixel: their loss, and what they say between these pixels."""

from __future__ import annotations

import tensorflow as tf

from jft_reps.ops.masked_pictures import VOID

_ROWS = 128


def loss(scores: tf.Tensor, mask: tf.Tensor, stride: int) -> tf.Tensor:
  """Softmax cross entropy at the pixels that have scores, the mean over those that are not void.

  Chen et al. 2016 (arXiv:1606.00915): the truth is subsampled, not the scores interpolated.

  Args:
    scores: float32 `[batch, ceil(h / stride), ceil(w / stride), classes]`.
    mask: uint8 `[batch, h, w]`, a class or `VOID`.
    stride: pixels between scores.

  Returns:
    A float32 scalar, 0 where all is void; no gradient comes from void pixels.
  """
  truth, known = _subsampled(mask, stride)
  # Void is no class: the op fails on it, or on some devices gives NaN.
  each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(known, truth, 0), scores)
  counted = tf.reduce_sum(tf.cast(known, tf.float32))
  return tf.math.divide_no_nan(tf.reduce_sum(tf.where(known, each, 0.0)), counted)


def accuracy(scores: tf.Tensor, mask: tf.Tensor, stride: int) -> tf.Tensor:
  """Share of the pixels of `loss` whose class has the highest score; 0 where all is void."""
  truth, known = _subsampled(mask, stride)
  right = known & tf.equal(tf.argmax(scores, -1, tf.int32), truth)
  return tf.math.divide_no_nan(*(tf.reduce_sum(tf.cast(b, tf.float32)) for b in (right, known)))


def _subsampled(mask: tf.Tensor, stride: int) -> tuple[tf.Tensor, tf.Tensor]:
  """Class of each pixel that has scores, int32, and whether it is not void."""
  truth = tf.cast(mask[:, ::stride, ::stride], tf.int32)
  return truth, tf.not_equal(truth, VOID)


def best_classes(
    scores: tf.Tensor, stride: int, input_size: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
  """The class of the highest interpolated score of every pixel, uint8 `[*size]`.

  As the highest of `interpolated`, some rows at a time, since the scores of all pixels of a large
  picture take gigabytes.
  """
  rows, columns = _both(scores, stride, input_size, size)
  blocks = tf.pad(rows, [[0, -size[0] % _ROWS], [0, 0]])
  blocks = tf.reshape(blocks, [-1, _ROWS, tf.shape(rows)[1]])

  def best(block: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.argmax(tf.matmul(columns, tf.tensordot(block, scores, 1)), -1), tf.uint8)

  found = tf.map_fn(best, blocks, fn_output_signature=tf.uint8, parallel_iterations=1)
  return tf.reshape(found, [-1, size[1]])[:size[0]]


def interpolated(
    scores: tf.Tensor, stride: int, input_size: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
  """Scores of every pixel of a stored picture, bilinear, float32 `[*size, classes]`.

  Score (i, j) belongs to pixel (stride · i, stride · j) of the network's input, whose pixels are
  mapped to those of the stored picture with centres at +0.5. Beyond the outermost scores the
  nearest one is taken.

  Args:
    scores: float32 `[h', w', classes]`.
    stride: input pixels between scores.
    input_size: int `[2]`, height and width of the network's input.
    size: int `[2]`, of the stored picture.
  """
  rows, columns = _both(scores, stride, input_size, size)
  return tf.matmul(columns, tf.tensordot(rows, scores, 1))


def _both(scores, stride: int, input_size, size) -> tuple[tf.Tensor, tf.Tensor]:
  """`_weights` of rows and of columns."""
  return tuple(_weights(size[i], input_size[i], stride, tf.shape(scores)[i]) for i in (0, 1))


def _weights(size: tf.Tensor, input_size: tf.Tensor, stride: int, count: tf.Tensor) -> tf.Tensor:
  """How much of each of `count` scores goes into each of `size` pixels: float32 `[size, count]`."""
  centres = (tf.range(size, dtype=tf.float32) + 0.5) / tf.cast(size, tf.float32)
  place = (centres * tf.cast(input_size, tf.float32) - 0.5) / stride
  last = tf.cast(count - 1, tf.float32)
  place = tf.clip_by_value(place, 0.0, last)
  distance = tf.abs(place[:, tf.newaxis] - tf.range(count, dtype=tf.float32))
  return tf.maximum(1.0 - distance, 0.0)
