"""Batch normalisation whose forward pass changes nothing.

Ioffe and Szegedy 2015 (arXiv:1502.03167). The usual layer assigns its moving statistics while
it runs, so a batch with a NaN has poisoned them before anyone can look at the loss. This one
hands the change to the innermost `StatisticsTape`, as operations hand theirs to a
`tf.GradientTape`; who holds the tape applies it once the gradients were found finite:

    with batch_norm.StatisticsTape() as statistics:
      loss = ...
    for variable, delta in statistics.updates:
      variable.assign_add(delta)

Modes: `train` normalises by the batch and records; `frozen` normalises by the moving
statistics; `recalibrate` normalises by the batch and records the moments themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from jft_reps import errors
from jft_reps.models import layers, variables

MODES = ("train", "frozen", "recalibrate")

_tapes = threading.local()


class Moments(NamedTuple):
  """What one layer saw in one batch: float32 `[channels]`, the variance unbiased."""

  layer: BatchNorm
  mean: tf.Tensor
  variance: tf.Tensor


class Change(NamedTuple):
  """A moving statistic is to move by `share` of the way to `value`, float32 `[channels]`.

  Where the statistic lives on a parameter server only `value` has to travel.
  """

  variable: tf.Variable
  share: float
  value: tf.Tensor


class StatisticsTape:
  """Collects what batch normalisation learns about the statistics inside a `with` block.

  Tapes nest, the innermost records; each thread has its own, as replicas of a
  `tf.distribute.MirroredStrategy` need. Open the tape in the graph where the model runs (inside
  the `tf.function`, not around it), and not around `tf.recompute_grad`: both raise.

  Attributes:
    changes: list of `Change`, from mode `train`.
    moments: list of `Moments`, from mode `recalibrate`.
  """

  def __init__(self) -> None:
    self.changes: list[Change] = []
    self.moments: list[Moments] = []
    self._graph = None

  @property
  def updates(self) -> list[tuple[tf.Variable, tf.Tensor]]:
    """(variable, delta float32 `[channels]`) of every change."""
    return [(c.variable, c.share * (c.value - c.variable)) for c in self.changes]

  def __enter__(self) -> StatisticsTape:
    self._graph = _graph()
    if not hasattr(_tapes, "stack"):
      _tapes.stack = []
    _tapes.stack.append(self)
    return self

  def __exit__(self, *unused) -> None:
    _tapes.stack.pop()

  def record(self, layer: BatchNorm, mode: str, mean: tf.Tensor, variance: tf.Tensor) -> None:
    """Takes the moments `[channels]` of one batch in one layer."""
    if _graph() is not self._graph:
      raise RuntimeError(
          "batch normalisation ran inside a graph in which its StatisticsTape was not opened: "
          "open the tape inside the tf.function, loop or branch that calls the model"
      )
    mean, variance = tf.stop_gradient(mean), tf.stop_gradient(variance)
    if mode == "recalibrate":
      self.moments.append(Moments(layer, mean, variance))
      return
    for variable, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
      self.changes.append(Change(variable, 1.0 - layer.momentum, value))


def _graph():
  return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def _innermost() -> StatisticsTape | None:
  stack = getattr(_tapes, "stack", None)
  return stack[-1] if stack else None


class BatchNorm(layers.Layer):
  """Normalisation per channel over batch and space, with scale `gamma` and offset `beta`.

  Args:
    channels: channels of the input.
    momentum: share of the moving statistics that a step keeps; slim's 0.997 for ResNet still
      carries 41 % of its start after 300 steps, so short runs want 0.9.
    epsilon: added to the variance; 1e-5 as in slim's and He et al.'s ResNet.
  """

  def __init__(
      self,
      channels: int,
      momentum: float = 0.997,
      epsilon: float = 1e-5,
      name: str | None = None,
  ):
    super().__init__(name=name)
    self.momentum, self.epsilon = momentum, epsilon
    self.gamma = self.add_weight(name="gamma", shape=[channels], initializer="ones")
    self.beta = self.add_weight(name="beta", shape=[channels], initializer="zeros")
    moving = {"shape": [channels], "trainable": False, "aggregation": tf.VariableAggregation.MEAN}
    self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **moving)
    self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **moving)

  def call(self, x: tf.Tensor, mode: str = "train") -> tf.Tensor:
    """Normalises `[batch, height, width, channels]`; moments are float32 in any dtype of `x`.

    Args:
      x: float32 or bfloat16 activations; the output has the same dtype.
      mode: one of `MODES`.

    Raises:
      ValueError: `mode` is none of them.
    """
    if mode not in MODES:
      raise ValueError(f"batch norm mode is {mode!r}, expected one of {', '.join(MODES)}")
    scale = {"x": x, "scale": variables.value(self.gamma), "offset": variables.value(self.beta),
             "epsilon": self.epsilon}
    if mode == "frozen":
      moving = {"mean": self.moving_mean, "variance": self.moving_variance}
      return tf.raw_ops.FusedBatchNormV3(is_training=False, **scale, **moving).y
    # `y` is by the biased variance; `batch_variance` is unbiased, as moving statistics want it.
    none = tf.zeros([0])
    result = tf.raw_ops.FusedBatchNormV3(is_training=True, mean=none, variance=none, **scale)
    tape = _innermost()
    if tape is not None:
      tape.record(self, mode, result.batch_mean, result.batch_variance)
    return result.y


def recalibrate(model_fn: Callable[[Any], Any], dataset: Iterable[Any], batches: int) -> int:
  """Replaces moving statistics by those of `batches` batches, without any gradient step.

  The mean is the plain average of the batches' means; the variance is pooled: the average of
  the batches' variances plus the variance of their means (Wu and Johnson 2021,
  arXiv:2105.07576, "precise" statistics). Batches count equally, so give equal sizes. The
  network runs on batch statistics throughout; weights stay as they are.

  Args:
    model_fn: called with each element, runs the model with `batch_norm="recalibrate"`.
    dataset: yields at least `batches` elements of tensors.
    batches: how many to use, at least 1.

  Returns:
    How many layers were recalibrated.

  Raises:
    DataError: the dataset ends early, no layer recorded, or a moment is not finite; the
      statistics are then unchanged.
  """
  norms: list[BatchNorm] = []

  if batches < 1:
    _check_recalibration(0, batches, {})

  @tf.function(autograph=False, reduce_retracing=True)
  def moments(batch):
    with StatisticsTape() as tape:
      model_fn(batch)
    # Noted while the graph is traced: a layer cannot be an output of it.
    norms[:] = [entry.layer for entry in tape.moments]
    return [(entry.mean, entry.variance) for entry in tape.moments]

  seen = 0
  sums: dict[BatchNorm, np.ndarray] = {}
  for batch in dataset:
    for norm, (mean, variance) in zip(norms, moments(batch)):
      mean, variance = np.float64(mean), np.float64(variance)
      sums[norm] = sums.get(norm, 0.0) + np.stack(
          [np.ones_like(mean), mean, np.square(mean), variance]
      )
    seen += 1
    if seen == batches:
      break
  _check_recalibration(seen, batches, sums)
  # Only now: an error on the way leaves all statistics as they were.
  for norm, (count, means, squares, variances) in sums.items():
    mean = means / count
    norm.moving_mean.assign(mean.astype(np.float32))
    norm.moving_variance.assign(((variances + squares) / count - mean**2).astype(np.float32))
  return len(sums)


def _check_recalibration(seen: int, batches: int, sums: dict[BatchNorm, np.ndarray]) -> None:
  where = "batch norm recalibration"
  if batches < 1 or seen < batches:
    raise errors.DataError(
        "recalibration-batches", where, f"{seen} of {batches} batches", "at least one, and all",
        "Ask for fewer batches or repeat the dataset.",
    )
  if not sums:
    raise errors.DataError(
        "recalibration-empty", where, "no layer recorded its moments", "at least one layer",
        "Call the model with batch_norm='recalibrate'.",
    )
  if not all(np.isfinite(total).all() for total in sums.values()):
    raise errors.DataError(
        "recalibration-not-finite", where, "a mean or variance is NaN or infinite",
        "finite activations", "Look at the pictures and the weights; nothing was changed.",
    )
