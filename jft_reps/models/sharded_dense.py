"""A fully-connected layer cut over its outputs into many small ones.

The paper cuts its 2048 x 18,291 classifier into 50 sub-layers so that no parameter server
holds all of it (Sun et al. 2017, section 4). 18,291 is no multiple of 50: the shards are near
equal, 41 of 366 columns and 9 of 365.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from jft_reps import errors
from jft_reps.models import layers, variables


def shard_sizes(units: int, shards: int) -> list[int]:
  """Sizes of `shards` near-equal parts of `units`, the larger ones first.

  Raises:
    ConfigError: fewer than one part, or more parts than units.
  """
  if not 1 <= shards <= units:
    raise errors.ConfigError(
        "classifier-shards", "shards", f"{shards}", f"1 to {units}, the number of outputs"
    )
  size, larger = divmod(units, shards)
  return [size + 1] * larger + [size] * (shards - larger)


class ShardedDense(layers.Layer):
  """`[batch, in_features]` to `[batch, units]`; equals one dense layer in value and gradient.

  Args:
    in_features: width of the input.
    units: outputs over all shards.
    shards: how many column shards.
    initial_bias: start of the bias, a number or one per unit.
    kernel_stddev: the kernel starts as truncated normal noise of this size, small against the
      initial bias so that training starts at the prior.

  Attributes:
    kernel: `Slices` of `[in_features, units]` along axis 1.
    bias: `Slices` of `[units]` along axis 0.
  """

  def __init__(
      self,
      in_features: int,
      units: int,
      shards: int = 50,
      initial_bias: float | np.ndarray = 0.0,
      kernel_stddev: float = 0.01,
      name: str | None = None,
  ):
    super().__init__(name=name)
    initial_bias = np.broadcast_to(np.asarray(initial_bias, np.float32), [units])
    kernels, biases, start = [], [], 0
    for i, size in enumerate(shard_sizes(units, shards)):
      kernels.append(
          self.add_weight(
              name=f"kernel_{i}",
              shape=[in_features, size],
              initializer=layers.truncated_normal(kernel_stddev),
          )
      )
      biases.append(
          self.add_weight(
              name=f"bias_{i}",
              shape=[size],
              initializer=_constant(initial_bias[start : start + size]),
          )
      )
      start += size
    self.kernel = variables.Slices((in_features, units), 1, tuple(kernels))
    self.bias = variables.Slices((units,), 0, tuple(biases))

  def call(self, x: tf.Tensor) -> tf.Tensor:
    """Float32 outputs `[batch, units]`, shards side by side in order."""
    x = tf.cast(x, tf.float32)
    value, pairs = variables.value, zip(self.kernel.parts, self.bias.parts)
    return tf.concat([tf.matmul(x, value(kernel)) + value(bias) for kernel, bias in pairs], axis=1)


def _constant(values: np.ndarray):
  def initializer(shape, dtype=tf.float32, **unused):
    del unused
    return tf.reshape(tf.constant(values, dtype), shape)

  return initializer
