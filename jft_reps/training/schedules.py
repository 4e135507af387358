"""Learning rates as functions of the global step.

Steps are counted in int64 and divided before anything becomes a float: a float32 staircase
drops a step early at 36 million (float32 is exact up to 2^24).
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class ExponentialDecay:
  """`initial · rate^(step / every)`, in stairs: the first drop happens at `step == every`.

  The paper's pre-training: 1e-3, × 0.9 every 3M pushes. Its ImageNet baseline: 5e-2, ÷ 10 every
  1.2M steps. Both are section 4.1's.
  """

  initial: float = 1e-3
  rate: float = 0.9
  every: int = 3_000_000
  staircase: bool = True

  def __call__(self, step: tf.Tensor) -> tf.Tensor:
    """Float32 scalar for an int64 scalar."""
    step = tf.cast(step, tf.int64)
    if self.staircase:
      exponent = tf.cast(step // self.every, tf.float64)
    else:
      exponent = tf.cast(step, tf.float64) / self.every
    return tf.cast(self.initial * tf.pow(tf.constant(self.rate, tf.float64), exponent), tf.float32)


@dataclasses.dataclass(frozen=True)
class Polynomial:
  """`initial · (1 - step / steps)^power` from `start` on: DeepLab's "poly" with power 0.9.

  Power 1 and a `start` after 60 % of the steps is what laptop runs use: constant, then linear.
  """

  initial: float
  steps: int
  power: float = 1.0
  start: int = 0

  def __call__(self, step: tf.Tensor) -> tf.Tensor:
    step = tf.clip_by_value(tf.cast(step, tf.int64), self.start, self.steps)
    left = tf.cast(self.steps - step, tf.float64) / (self.steps - self.start)
    return tf.cast(self.initial * tf.pow(left, tf.constant(self.power, tf.float64)), tf.float32)


@dataclasses.dataclass(frozen=True)
class PiecewiseConstant:
  """`values[i]` from step `boundaries[i - 1]` on; detection and pose use it."""

  values: tuple[float, ...]
  boundaries: tuple[int, ...] = ()

  def __call__(self, step: tf.Tensor) -> tf.Tensor:
    passed = tf.reduce_sum(
        tf.cast(tf.cast(step, tf.int64) >= tf.constant(self.boundaries, tf.int64), tf.int32)
    )
    return tf.gather(tf.constant(self.values, tf.float32), passed)


BY_NAME = {"exponential": ExponentialDecay, "polynomial": Polynomial,
           "piecewise": PiecewiseConstant}  # `config.schedule.name`; the rest are arguments


@dataclasses.dataclass(frozen=True)
class WarmUp:
  """Rises linearly to what `schedule` says over the first `steps`."""

  schedule: ExponentialDecay | Polynomial | PiecewiseConstant
  steps: int

  def __call__(self, step: tf.Tensor) -> tf.Tensor:
    factor = tf.cast(tf.minimum(tf.cast(step, tf.int64) + 1, self.steps), tf.float64) / self.steps
    return self.schedule(step) * tf.cast(factor, tf.float32)
