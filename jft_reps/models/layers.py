"""Convolution and pooling whose padding does not depend on the picture's size.

TensorFlow's SAME padding of a strided kernel puts the odd row at the end for even sizes and
on both sides for odd ones, so the sampled positions move with the size. Here the padding of a
strided kernel is symmetric, and output `i` of stride `s` is centred on input `s * i`; only for
weights that were trained with SAME padding there is that too.
"""

from __future__ import annotations

import math

import tensorflow as tf
import tf_keras

from jft_reps.models import variables


class Layer(tf_keras.layers.Layer):
  """A layer that creates float32 variables in its constructor and never casts on its own.

  Two things of the Keras class are left out. It picks the TF1 or TF2 base anew at each
  construction and swaps it into the *class*, so that one model built inside `tf.Graph` would
  turn every living layer into a TF1 layer. And its `__call__` replaces errors that pass through:
  a `ConfigError`, or the `UnavailableError` of a lost server, would arrive as `RuntimeError`.
  Without it, functional models of Keras cannot be drawn through these layers.
  """

  _auto_get_config = False

  def __new__(cls, *args, **kwargs):
    del args, kwargs
    return tf.Module.__new__(cls)

  def __init__(self, name: str | None = None):
    super().__init__(name=name, dtype="float32", autocast=False)
    self.built = True

  @tf.autograph.experimental.do_not_convert
  def __call__(self, *args, **kwargs):
    """Runs `call` under the layer's name."""
    with tf.name_scope(self.name):
      return self.call(*args, **kwargs)


def truncated_normal(stddev: float):
  """Initializer: normal cut at two sigma, widened so that `stddev` holds after the cut.

  It draws from TensorFlow's global generator: `tf.random.set_seed` repeats it, which
  tf_keras's own initializers do not do.
  """
  after_cut = 0.8796256610342398  # the standard deviation of a unit normal cut at +-2

  def initializer(shape, dtype=tf.float32, **unused):
    del unused
    return tf.random.truncated_normal(shape, stddev=stddev / after_cut, dtype=dtype)

  return initializer


def he_normal(fan_in: int):
  """He et al. 2015 (arXiv:1502.01852): variance 2 / fan_in, as slim's variance scaling."""
  return truncated_normal(math.sqrt(2.0 / fan_in))


class Conv2D(Layer):
  """Square convolution, symmetric zero padding; without bias and by He unless said otherwise.

  Args:
    in_channels: channels of the input.
    out_channels: channels of the output.
    kernel_size: odd side of the kernel.
    stride: default stride; output `[batch, ceil(height / stride), ceil(width / stride), out]`.
    rate: default atrous rate: distance of the kernel's taps in pixels.
    same: pad strided kernels as TensorFlow's SAME does.
    bias: add one, which starts at zero.
    stddev: of truncated normal initial kernels in place of He's.
  """

  def __init__(
      self,
      in_channels: int,
      out_channels: int,
      kernel_size: int,
      stride: int = 1,
      rate: int = 1,
      same: bool = False,
      bias: bool = False,
      stddev: float | None = None,
      name: str | None = None,
  ):
    super().__init__(name=name)
    if kernel_size % 2 != 1:
      raise ValueError(f"kernel_size is {kernel_size}; symmetric padding needs an odd one")
    self.stride, self.rate, self.same = stride, rate, same
    self.kernel = self.add_weight(
        name="kernel",
        shape=[kernel_size, kernel_size, in_channels, out_channels],
        initializer=he_normal(kernel_size * kernel_size * in_channels) if stddev is None
        else truncated_normal(stddev),
    )
    self.bias = None
    if bias:
      self.bias = self.add_weight(name="bias", shape=[out_channels], initializer="zeros")

  def call(
      self, x: tf.Tensor, stride: int | None = None, rate: int | None = None, lost: int = 1
  ) -> tf.Tensor:
    """`[batch, height, width, in]` to `[batch, height', width', out]`, in the dtype of `x`.

    `lost` is the stride that an atrous network took away here: under SAME padding it still
    decides where the kernel is centred.
    """
    y = self._convolved(x, stride, rate, lost)
    return y if self.bias is None else y + tf.cast(variables.value(self.bias), y.dtype)

  def _convolved(self, x: tf.Tensor, stride: int | None, rate: int | None, lost: int) -> tf.Tensor:
    stride = self.stride if stride is None else stride
    rate = self.rate if rate is None else rate
    if stride > 1 and rate > 1:
      raise ValueError(f"stride {stride} and rate {rate}: one of the two must be 1")
    kernel = tf.cast(variables.value(self.kernel), x.dtype)
    size = kernel.shape[0]
    if lost > 1 and self.same and size > 1:
      x = _pad_as_strided(x, size, lost, rate)
      return tf.nn.convolution(x, kernel, strides=1, padding="VALID", dilations=rate)
    if stride == 1:
      # Symmetric for odd kernels. `convolution` (space to batch) and not `conv2d`, whose
      # gradient knows no dilation on CPUs without oneDNN.
      return tf.nn.convolution(x, kernel, strides=1, padding="SAME", dilations=rate)
    if self.same:
      return tf.nn.conv2d(x, kernel, strides=stride, padding="SAME")
    # Padding in an op of its own: with explicit padding inside the convolution bfloat16 falls
    # back to a kernel 15 times slower on CPUs.
    return tf.nn.conv2d(_pad(x, size), kernel, strides=stride, padding="VALID")


def max_pool(x: tf.Tensor, size: int = 3, stride: int = 2, padding: str = "symmetric") -> tf.Tensor:
  """Max pooling of `[batch, height, width, channels]` that is nowhere negative (after ReLU).

  Args:
    x: activations, at least zero everywhere: zeros stand for "nothing" in the padding.
    size: odd side of the window.
    stride: distance of the windows; the output has `ceil(height / stride)` rows.
    padding: "symmetric" (as torchvision) or "same" (TensorFlow's and slim's pool1: at even
      sizes the window starts at the pixel and does not straddle it).
  """
  if padding == "symmetric":
    return tf.nn.max_pool2d(_pad(x, size), size, stride, padding="VALID")
  return tf.nn.max_pool2d(x, size, stride, padding="SAME")


def _pad(x: tf.Tensor, size: int) -> tf.Tensor:
  reach = size // 2
  return tf.pad(x, [[0, 0], [reach, reach], [reach, reach], [0, 0]]) if reach else x


def _pad_as_strided(x: tf.Tensor, size: int, stride: int, rate: int) -> tf.Tensor:
  """Pads for a kernel without stride that is to be centred where SAME centres a strided one.

  The strided network would read every `rate`-th position of `x`.
  """
  def sides(length: tf.Tensor) -> tf.Tensor:
    grid = (length + rate - 1) // rate
    total = tf.maximum(((grid + stride - 1) // stride - 1) * stride + size - grid, 0)
    before = total // 2 * rate
    return tf.stack([before, (size - 1) * rate - before])

  shape, none = tf.shape(x), tf.constant([0, 0])
  return tf.pad(x, tf.stack([none, sides(shape[1]), sides(shape[2]), none]))
