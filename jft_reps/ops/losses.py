"""Losses over logits, always in float32, whatever the network computes in."""

from __future__ import annotations

import tensorflow as tf

from jft_reps import errors

REDUCTIONS = ("sum_classes", "mean")


def sigmoid_cross_entropy(
    logits: tf.Tensor,
    targets: tf.Tensor,
    unknown: tf.Tensor | None = None,
    reduction: str = "sum_classes",
) -> tf.Tensor:
  """Logistic loss of every label; one that is neither present nor unknown counts as negative.

  The loss of Sun et al. 2017, section 4. The paper does not say how it is reduced. Summed over
  classes it goes with RMSProp's epsilon of 1.0; a mean over 18,291 classes would shrink
  gradients by as much, and that optimizer would hardly move.

  Args:
    logits: `[batch, classes]`, any float type.
    targets: `[batch, classes]`, 1 where the label is present and 0 elsewhere, any type (uint8
      travels cheapest); values between are soft labels.
    unknown: `[batch, classes]`, true or nonzero where nobody can tell whether the label is
      present: no loss, no gradient. `LabelExpansion.unknown` gives it.
    reduction: "sum_classes" sums over classes and averages over the batch; "mean" averages
      over all labels that are known.

  Returns:
    A float32 scalar.

  Raises:
    ConfigError: the reduction is neither.
  """
  if reduction not in REDUCTIONS:
    raise errors.ConfigError(
        "loss-reduction", "reduction", repr(reduction), " or ".join(map(repr, REDUCTIONS))
    )
  losses = tf.nn.sigmoid_cross_entropy_with_logits(
      labels=tf.cast(targets, tf.float32), logits=tf.cast(logits, tf.float32)
  )
  known = None
  if unknown is not None:
    known = tf.logical_not(tf.cast(unknown, tf.bool))
    losses = tf.where(known, losses, 0.0)
  if reduction == "sum_classes":
    return tf.reduce_mean(tf.reduce_sum(losses, axis=1))
  if known is None:
    return tf.reduce_mean(losses)
  return tf.math.divide_no_nan(
      tf.reduce_sum(losses), tf.reduce_sum(tf.cast(known, tf.float32))
  )


def softmax_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, smoothing: float = 0.0
) -> tf.Tensor:
  """Cross entropy of one label per picture, averaged over the batch.

  Args:
    logits: `[batch, classes]`, any float type.
    labels: int `[batch]`.
    smoothing: share of the target spread evenly over all classes (Szegedy et al. 2016,
      arXiv:1512.00567, section 7).

  Returns:
    A float32 scalar.
  """
  logits = tf.cast(logits, tf.float32)
  loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
  if smoothing:
    even = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=1)
    loss = (1.0 - smoothing) * loss + smoothing * even
  return tf.reduce_mean(loss)


def smooth_l1(predicted: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
  """Girshick 2015 (arXiv:1504.08083, (3)), summed over the last axis: float32 `[…]` of `[…, k]`."""
  error = tf.abs(tf.cast(predicted, tf.float32) - tf.cast(targets, tf.float32))
  return tf.reduce_sum(tf.where(error < 1.0, 0.5 * error * error, error - 0.5), -1)
