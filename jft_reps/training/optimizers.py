"""RMSProp and momentum as TensorFlow 1 had them, through the fused update kernels.

One kernel reads and writes a variable and its slots under the variable's lock, so concurrent
pushes from many workers are never lost. tf_keras's optimizers read, compute and write in
separate ops and lose updates under parameter servers (270 of 300 arrive).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf


class Optimizer(Protocol):
  """What the trainer asks of an optimizer. A new one is a class here and its line in `BY_NAME`."""

  def slots(self) -> Mapping[str, float]:
    """Names of the slots, which are kept in checkpoints, and the value each starts at."""

  def apply(self, variable: Any, slots: Mapping[str, tf.Variable], gradient: tf.Tensor,
            rate: tf.Tensor) -> tf.Operation:
    """One update in place, by one op: what reads and writes in two loses pushes.

    Args:
      variable: that the gradient is of.
      slots: by the names above.
      gradient: of the variable's shape, decay included.
      rate: float32 scalar.
    """


@dataclasses.dataclass(frozen=True)
class Momentum:
  """`accumulator = momentum · accumulator + g; w -= rate · accumulator` (TF1, slim).

  The accumulator holds gradients, not steps: the rate multiplies it, so a drop of the rate acts
  at once.
  """

  momentum: float = 0.9  # section 4.1 for ImageNet, 5.2 for detection
  nesterov: bool = False

  def slots(self) -> Mapping[str, float]:
    return {"momentum": 0.0}

  def apply(self, variable: Any, slots: Mapping[str, tf.Variable], gradient: tf.Tensor,
            rate: tf.Tensor) -> tf.Operation:
    return tf.raw_ops.ResourceApplyMomentum(
        var=variable.handle,
        accum=slots["momentum"].handle,
        lr=rate,
        grad=gradient,
        momentum=tf.constant(self.momentum, gradient.dtype),
        use_locking=True,
        use_nesterov=self.nesterov,
    )


@dataclasses.dataclass(frozen=True)
class RMSProp:
  """`ms = rho·ms + (1-rho)·g²; mom = momentum·mom + rate·g / sqrt(ms + epsilon); w -= mom`.

  TF1's flavour: epsilon inside the root, the mean square starts at one. The paper states RMSProp
  with momentum 0.9 (section 4.1) and neither rho nor epsilon; 0.9 and 1.0 are slim's presets.
  With epsilon 1.0 the scale of the loss matters, so the multi-label loss sums over classes.
  """

  rho: float = 0.9
  momentum: float = 0.9
  epsilon: float = 1.0

  def slots(self) -> Mapping[str, float]:
    return {"rms": 1.0, "momentum": 0.0}

  def apply(self, variable: Any, slots: Mapping[str, tf.Variable], gradient: tf.Tensor,
            rate: tf.Tensor) -> tf.Operation:
    return tf.raw_ops.ResourceApplyRMSProp(
        var=variable.handle,
        ms=slots["rms"].handle,
        mom=slots["momentum"].handle,
        lr=rate,
        rho=tf.constant(self.rho, gradient.dtype),
        momentum=tf.constant(self.momentum, gradient.dtype),
        epsilon=tf.constant(self.epsilon, gradient.dtype),
        grad=gradient,
        use_locking=True,
    )


BY_NAME = {"rmsprop": RMSProp, "momentum": Momentum}  # `config.optimizer.name`; the rest: arguments
