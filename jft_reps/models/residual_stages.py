"""The stages of a residual network and how they sample: conv1, and conv2 to conv5 of units.

Stride and rate are arguments of the call and not of the weights, so one set of variables serves
every output stride, and conv5 runs on crops at a stride of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from jft_reps.models import batch_norm as bn
from jft_reps.models import layers

STRIDE_PLACEMENTS = ("first_1x1", "first_3x3", "last_3x3")


@dataclasses.dataclass(frozen=True)
class Step:
  """How one unit samples: its stride, and the rate of its 3x3 convolution."""

  stride: int = 1
  rate: int = 1


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
  at_stride = Step(1 if dilate else stride, after if placement == "first_1x1" else rate)
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
  """

  def __init__(
      self,
      in_channels: int,
      base_channels: int,
      out_channels: int,
      stride_on_1x1: bool,
      norm: dict[str, float],
      name: str | None = None,
  ):
    super().__init__(name=name)
    self.stride_on_1x1 = stride_on_1x1
    self.shortcut = self.shortcut_norm = None
    if in_channels != out_channels:
      self.shortcut = layers.Conv2D(in_channels, out_channels, 1, name="shortcut")
      self.shortcut_norm = bn.BatchNorm(out_channels, **norm, name="shortcut_norm")
    self.conv1 = layers.Conv2D(in_channels, base_channels, 1, name="conv1")
    self.norm1 = bn.BatchNorm(base_channels, **norm, name="norm1")
    self.conv2 = layers.Conv2D(base_channels, base_channels, 3, name="conv2")
    self.norm2 = bn.BatchNorm(base_channels, **norm, name="norm2")
    self.conv3 = layers.Conv2D(base_channels, out_channels, 1, name="conv3")
    self.norm3 = bn.BatchNorm(out_channels, **norm, name="norm3")

  def call(
      self, x: tf.Tensor, stride: int = 1, rate: int = 1, batch_norm: str = "train"
  ) -> tf.Tensor:
    """`[batch, h, w, in]` to `[batch, ceil(h / stride), ceil(w / stride), out]`."""
    stride1, stride2 = (stride, 1) if self.stride_on_1x1 else (1, stride)
    shortcut = x
    if self.shortcut is not None:
      shortcut = self.shortcut_norm(self.shortcut(x, stride=stride), mode=batch_norm)
    elif stride > 1:
      shortcut = x[:, ::stride, ::stride, :]
    y = tf.nn.relu(self.norm1(self.conv1(x, stride=stride1), mode=batch_norm))
    y = tf.nn.relu(self.norm2(self.conv2(y, stride=stride2, rate=rate), mode=batch_norm))
    y = self.norm3(self.conv3(y), mode=batch_norm)
    return tf.nn.relu(shortcut + y)


class Stem(layers.Layer):
  """conv1: one strided convolution."""

  def __init__(self, channels: int, kernel_size: int, stride: int, norm: dict[str, float], name):
    super().__init__(name=name)
    self.conv = layers.Conv2D(3, channels, kernel_size, stride=stride, name="conv")
    self.norm = bn.BatchNorm(channels, **norm, name="norm")

  def call(self, x: tf.Tensor, batch_norm: str = "train") -> tf.Tensor:
    """Pictures `[batch, height, width, 3]` to features."""
    return tf.nn.relu(self.norm(self.conv(x), mode=batch_norm))


class Stage(layers.Layer):
  """conv2 to conv5: units of one width, `unit_1`, `unit_2`, ...

  Args:
    in_channels: channels of the input.
    base_channels: channels inside the units; four times as many come out.
    steps: the units' default strides and rates.
    placement: one of `STRIDE_PLACEMENTS`.
    norm: momentum and epsilon of `BatchNorm`, by name.
    pool_padding: padding of a max pooling before the first unit; None: no pooling.
  """

  def __init__(
      self,
      in_channels: int,
      base_channels: int,
      steps: Sequence[Step],
      placement: str,
      norm: dict[str, float],
      pool_padding: str | None = None,
      name: str | None = None,
  ):
    super().__init__(name=name)
    self.steps, self.placement, self.pool_padding = tuple(steps), placement, pool_padding
    out_channels, on_1x1 = 4 * base_channels, placement == "first_1x1"
    for unit in (f"unit_{i + 1}" for i in range(len(self.steps))):
      setattr(self, unit, Unit(in_channels, base_channels, out_channels, on_1x1, norm, unit))
      in_channels = out_channels

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
    steps = self.steps
    if stride is not None:
      steps = stage_steps(len(steps), stride, self.placement)
    if self.pool_padding is not None:
      x = layers.max_pool(x, padding=self.pool_padding)
    for i, step in enumerate(steps):
      unit = getattr(self, f"unit_{i + 1}")
      x = unit(x, stride=step.stride, rate=step.rate, batch_norm=batch_norm)
    return x
