"""The stages of a residual network and how they sample: conv1, and conv2 to conv5 of units.

Stride and rate are arguments of the call and not of the weights, so one set of variables serves
every output stride, and conv5 runs on crops at a stride of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import tensorflow as tf

from jft_reps.models import batch_norm as bn
from jft_reps.models import layers

STRIDE_PLACEMENTS = ("first_1x1", "first_3x3", "last_3x3")


@dataclasses.dataclass(frozen=True)
class Step:
  """How one unit samples: its stride, the rate of its 3x3 convolution, a stride it has lost."""

  stride: int = 1
  rate: int = 1
  lost: int = 1


def stage_steps(
    units: int, stride: int, placement: str, rate: int = 1, dilate: bool = False
) -> tuple[Step, ...]:
  """Strides and rates of a stage's units.

  Args:
    units: units of the stage.
    stride: what the stage divides its input's size by, or would if it were not dilated.
    placement: one of `STRIDE_PLACEMENTS`.
    rate: atrous rate at which the stage's input is read.
    dilate: turn the stride into rate.
  """
  strided = units - 1 if placement == "last_3x3" else 0
  after = rate * stride if dilate else rate
  at_stride = Step(stride, rate)
  if dilate:
    at_stride = Step(1, after if placement == "first_1x1" else rate, stride)
  steps = [Step(rate=rate)] * strided + [at_stride]
  return tuple(steps + [Step(rate=after)] * (units - 1 - strided))


class Unit(layers.Layer):
  """A bottleneck unit: 1x1, 3x3 and 1x1 convolutions beside a shortcut.

  Args:
    in_channels: channels of the input.
    base_channels: channels inside.
    out_channels: channels of the output; where they differ from the input's, the shortcut is a
      1x1 convolution, elsewhere the input itself.
    stride_on_1x1: the stride is taken by the first convolution and not by the second.
    norm: momentum and epsilon of `BatchNorm`, by name.
    same: pad the strided 3x3 as TensorFlow's SAME does.
    pre_activation: batch-norm and ReLU stand before each convolution, the projection's own
      included, and none after the addition (He et al. 2016, arXiv:1603.05027, as in Tencent
      ML-Images).
  """

  def __init__(
      self,
      in_channels: int,
      base_channels: int,
      out_channels: int,
      stride_on_1x1: bool,
      norm: dict[str, float],
      same: bool = False,
      pre_activation: bool = False,
      name: str | None = None,
  ):
    super().__init__(name=name)
    self.stride_on_1x1, self.pre_activation = stride_on_1x1, pre_activation
    self.shortcut = self.shortcut_norm = None
    if in_channels != out_channels:
      self.shortcut = layers.Conv2D(in_channels, out_channels, 1, name="shortcut")
      channels = in_channels if pre_activation else out_channels
      self.shortcut_norm = bn.BatchNorm(channels, **norm, name="shortcut_norm")
    widths = (in_channels, base_channels, base_channels, out_channels)
    for i, size in enumerate((1, 3, 1)):
      conv = layers.Conv2D(widths[i], widths[i + 1], size, same=same, name=f"conv{i + 1}")
      setattr(self, f"conv{i + 1}", conv)
      channels = widths[i] if pre_activation else widths[i + 1]
      setattr(self, f"norm{i + 1}", bn.BatchNorm(channels, **norm, name=f"norm{i + 1}"))

  def call(self, x: tf.Tensor, step: Step = Step(), batch_norm: str = "train") -> tf.Tensor:
    """`[batch, h, w, in]` to `[batch, ceil(h / stride), ceil(w / stride), out]`."""
    stride1, stride2 = (step.stride, 1) if self.stride_on_1x1 else (1, step.stride)
    shortcut = x
    if self.shortcut is not None:
      shortcut = self._convolved(self.shortcut, self.shortcut_norm, x, batch_norm, False,
                                 stride=step.stride)
    elif step.stride > 1:
      shortcut = x[:, :: step.stride, :: step.stride, :]
    y = self._convolved(self.conv1, self.norm1, x, batch_norm, stride=stride1)
    y = self._convolved(self.conv2, self.norm2, y, batch_norm, stride=stride2, rate=step.rate,
                        lost=step.lost)
    y = shortcut + self._convolved(self.conv3, self.norm3, y, batch_norm, False)
    return y if self.pre_activation else tf.nn.relu(y)

  def _convolved(self, conv, norm, x, batch_norm: str, active: bool = True, **sampling):
    """A convolution with its batch-norm, and a ReLU: before it always, after it if `active`."""
    if self.pre_activation:
      return conv(tf.nn.relu(norm(x, mode=batch_norm)), **sampling)
    y = norm(conv(x, **sampling), mode=batch_norm)
    return tf.nn.relu(y) if active else y


class Stem(layers.Layer):
  """conv1: one strided convolution, in pre-activation networks without batch-norm and ReLU."""

  def __init__(self, channels: int, kernel_size: int, stride: int, norm: dict[str, float],
               same: bool = False, pre_activation: bool = False, name: str | None = None):
    super().__init__(name=name)
    self.conv = layers.Conv2D(3, channels, kernel_size, stride=stride, same=same, name="conv")
    self.norm = None if pre_activation else bn.BatchNorm(channels, **norm, name="norm")

  def call(self, x: tf.Tensor, batch_norm: str = "train") -> tf.Tensor:
    """Pictures `[batch, height, width, 3]` to features."""
    x = self.conv(x)
    return x if self.norm is None else tf.nn.relu(self.norm(x, mode=batch_norm))


class Stage(layers.Layer):
  """conv2 to conv5: units of one width, `unit_1`, `unit_2`, ...

  Args:
    in_channels: channels of the input.
    base_channels: channels inside the units; four times as many come out.
    steps: the units' default strides and rates.
    placement: one of `STRIDE_PLACEMENTS`.
    norm: momentum and epsilon of `BatchNorm`, by name.
    pool_padding: padding of a max pooling before the first unit; None: no pooling.
    same, pre_activation: of the units.
    ends: the last stage of a pre-activation network, closed by a batch-norm and ReLU.
  """

  def __init__(
      self,
      in_channels: int,
      base_channels: int,
      steps: Sequence[Step],
      placement: str,
      norm: dict[str, float],
      pool_padding: str | None = None,
      same: bool = False,
      pre_activation: bool = False,
      ends: bool = False,
      name: str | None = None,
  ):
    super().__init__(name=name)
    self.steps, self.placement, self.pool_padding = tuple(steps), placement, pool_padding
    out_channels, on_1x1 = 4 * base_channels, placement == "first_1x1"
    for unit in (f"unit_{i + 1}" for i in range(len(self.steps))):
      setattr(self, unit, Unit(in_channels, base_channels, out_channels, on_1x1, norm, same,
                               pre_activation, name=unit))
      in_channels = out_channels
    closed = pre_activation and ends
    self.norm = bn.BatchNorm(out_channels, **norm, name="norm") if closed else None

  def call(
      self, x: tf.Tensor, batch_norm: str = "train", stride: int | None = None
  ) -> tf.Tensor:
    """Features `[batch, h, w, in]` to `[batch, h', w', out]`.

    Args:
      x: features of the previous stage, or crops of them.
      batch_norm: one of `batch_norm.MODES`.
      stride: replaces the network's stride and rates: the units divide the size by it,
        undilated.
    """
    *_, last = self.units(x, batch_norm, stride)
    return last

  def units(
      self, x: tf.Tensor, batch_norm: str = "train", stride: int | None = None
  ) -> Iterator[tf.Tensor]:
    """What each unit gives, in order; arguments as of `call`."""
    steps = self.steps
    if stride is not None:
      steps = stage_steps(len(steps), stride, self.placement)
    if self.pool_padding is not None:
      x = layers.max_pool(x, padding=self.pool_padding)
    for i, step in enumerate(steps):
      x = getattr(self, f"unit_{i + 1}")(x, step, batch_norm=batch_norm)
      if i + 1 == len(steps) and self.norm is not None:
        x = tf.nn.relu(self.norm(x, mode=batch_norm))
      yield x
