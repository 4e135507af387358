"""Residual networks, version 1, whose weights are the same at every output stride.

He et al. 2015 (arXiv:1512.03385): bottleneck units, the ReLU after the addition. The stages are
named conv1 to conv5 as there; conv2 begins with the pooling. A stage knows its channels, and
`ResNet.feature_info` tells the stride at which each stage comes out.

Three networks of this name differ in where a stage takes its stride (`stride_placement`):

  first_1x1  the first unit's first convolution: He et al., Caffe, Keras
  first_3x3  the first unit's 3x3 convolution: "v1.5", torchvision
  last_3x3   the last unit's 3x3 convolution: slim, where conv5 has none, so that conv2, conv3
             and conv4 come out at twice the stride of the others

With a smaller `output_stride` the strides beyond it become atrous rates (Chen et al. 2017,
arXiv:1606.00915). For the features to be the strided network's at the positions both
have, each 3x3 convolution needs the rate of the grid that it *reads* there: in the unit that
lost its stride this is the previous rate where the 3x3 itself had the stride, but already the
new rate where the 1x1 before it had it.

`padding` is a matter of whose weights they are: "symmetric" (He et al., torchvision, Keras),
"same_pool" (slim: conv1's pooling as TensorFlow's SAME) or "same" (Model Garden: everything,
so that what a feature is centred on depends on the picture's size). `pre_activation` is the
network of Tencent ML-Images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from jft_reps import errors
from jft_reps.models import layers
from jft_reps.models.depths import STAGES, UNITS
from jft_reps.models.residual_stages import STRIDE_PLACEMENTS, Stage, Stem, stage_steps
from jft_reps.ops import preprocessing as preprocessing_lib

OUTPUT_STRIDES = (8, 16, 32)
PADDINGS = ("symmetric", "same_pool", "same")
_COMPUTE_DTYPES = {"float32": tf.float32, "mixed_bfloat16": tf.bfloat16}
# conv1's kernel and stride, and whether pooling follows.
_STEMS = {"imagenet": (7, 2, True), "small": (3, 2, False), "small_stride_1": (3, 1, False)}


@dataclasses.dataclass(frozen=True)
class Feature:
  """What a stage gives: `channels` at one position per `stride` x `stride` pixels."""

  channels: int
  stride: int


class ResNet(layers.Layer):
  """A backbone of five named stages.

  Args:
    depth: 50, 101 or 152; 26 and 14 (two units per stage, or one) for laptops.
    width: factor on all channels, rounded to multiples of 8.
    output_stride: 8, 16 or 32; strides beyond it become atrous rates.
    stride_placement: see the module; an imported checkpoint prescribes it.
    padding: one of `PADDINGS`; None: slim's for `last_3x3`, else "symmetric".
    pre_activation: batch-norm and ReLU before the convolutions, no pooling.
    batch_norm_momentum: 0.997 as slim; 0.9 for runs of a few hundred steps.
    batch_norm_epsilon: as slim and He et al.
    compute_dtype: "float32", or "mixed_bfloat16" for activations and convolutions. Variables,
      moving statistics and the moments of a batch are float32.
    stem: "imagenet" (7x7, stride 2, then pooling), "small" (3x3, stride 2) or "small_stride_1"
      (3x3) without pooling, for pictures of 32 to 96 pixels. The small ones divide the
      strides of all later stages by 2 or 4.
    preprocessing: what is done to pixels from 0 to 255; by default they are brought to [-1, 1].
      None: inputs are taken as they are.

  Attributes:
    conv1, conv2, conv3, conv4, conv5: the stages.
    feature_info: `Feature` by stage name.
  """

  def __init__(
      self,
      depth: int = 101,
      width: float = 1.0,
      output_stride: int = 32,
      stride_placement: str = "first_1x1",
      padding: str | None = None,
      pre_activation: bool = False,
      batch_norm_momentum: float = 0.997,
      batch_norm_epsilon: float = 1e-5,
      compute_dtype: str = "float32",
      stem: str = "imagenet",
      preprocessing: preprocessing_lib.Preprocessing | None = preprocessing_lib.UNIT_RANGE,
      name: str | None = None,
  ):
    super().__init__(name=name)
    _check("depth", depth, UNITS)
    _check("output_stride", output_stride, OUTPUT_STRIDES)
    _check("stride_placement", stride_placement, STRIDE_PLACEMENTS)
    _check("compute_dtype", compute_dtype, _COMPUTE_DTYPES)
    _check("stem", stem, _STEMS)
    self.preprocessing, self.activation_dtype = preprocessing, _COMPUTE_DTYPES[compute_dtype]
    norm = {"momentum": batch_norm_momentum, "epsilon": batch_norm_epsilon}
    slim = stride_placement == "last_3x3"
    padding = padding or ("same_pool" if slim else "symmetric")
    _check("padding", padding, PADDINGS)
    kernel_size, stride, pool = _STEMS[stem]
    pool = pool and not pre_activation
    kind = {"same": padding == "same", "pre_activation": pre_activation}
    channels = _channels(64, width)
    self.conv1 = Stem(channels, kernel_size, stride, norm, **kind, name="conv1")
    info = {"conv1": Feature(channels, stride)}
    stride, rate = stride * (2 if pool else 1), 1
    for i, (stage, units) in enumerate(zip(STAGES[1:], UNITS[depth])):
      # conv2 has the pooling before it instead of a stride of its own. Slim strides in the last
      # units of conv2 to conv4; pre-activation networks do not pool, and stride in every stage.
      unstrided = "conv5" if slim else None if pre_activation else "conv2"
      own_stride = 1 if stage == unstrided else 2
      dilate = stride * own_stride > output_stride
      steps = stage_steps(units, own_stride, stride_placement, rate, dilate)
      stride, rate = (stride, rate * own_stride) if dilate else (stride * own_stride, rate)
      pooling = None
      if pool and i == 0:
        pooling = "symmetric" if padding == "symmetric" else "same"
      base = _channels(64 * 2**i, width)
      layer = Stage(channels, base, steps, stride_placement, norm, pooling, **kind,
                    ends=stage == "conv5", name=stage)
      setattr(self, stage, layer)
      channels = 4 * base
      info[stage] = Feature(channels, stride)
    self.feature_info = info

  def call(
      self,
      images: tf.Tensor,
      batch_norm: str = "train",
      stages: Sequence[str] | None = None,
      frozen_through: str | None = None,
  ) -> dict[str, tf.Tensor]:
    """Features by stage name, `[batch, ceil(h / stride), ceil(w / stride), channels]`.

    Args:
      images: `[batch, height, width, 3]`, uint8 or float.
      batch_norm: one of `batch_norm.MODES`.
      stages: which to give; stages beyond the last of them are not computed. None: all. Units
        inside of conv2 to conv5 have names like `conv4/unit_10`.
      frozen_through: up to and with this stage, moving statistics are used and left alone, and
        no gradient passes: the paper's frozen features with "conv4".
    """
    wanted = STAGES if stages is None else tuple(stages)
    for name in wanted:
      _check("stage", name, (*STAGES, *self._unit_names()))
    if frozen_through is not None:
      _check("stage", frozen_through, STAGES)
    frozen = 0 if frozen_through is None else STAGES.index(frozen_through) + 1
    last = max((STAGES.index(name.partition("/")[0]) for name in wanted), default=-1)
    x = self.scale(images)
    features: dict[str, tf.Tensor] = {}
    for i, stage in enumerate(STAGES[: last + 1]):
      layer, mode = getattr(self, stage), "frozen" if i < frozen else batch_norm
      with tf.name_scope(stage):
        units = layer.units(x, mode) if i else [layer(x, batch_norm=mode)]
        units = [tf.stop_gradient(unit) if i < frozen else unit for unit in units]
      features |= {f"{stage}/unit_{n}": unit for n, unit in enumerate(units, 1)}
      x = features[stage] = units[-1]
    return {name: features[name] for name in wanted}

  def _unit_names(self) -> list[str]:
    """`conv2/unit_1` to the last of conv5."""
    return [f"{stage}/unit_{number + 1}" for stage in STAGES[1:]
            for number in range(len(getattr(self, stage).steps))]

  def run_stage(
      self, stage: str, x: tf.Tensor, batch_norm: str = "train", stride: int | None = None
  ) -> tf.Tensor:
    """One of conv2 to conv5 alone, on features or on crops of any float type.

    The same variables as in the whole network. `stride` replaces the stage's stride and rates,
    so that a detector can run conv5 on crops with stride 1 or 2 whatever the output stride.
    """
    _check("stage", stage, STAGES[1:])
    x = tf.cast(x, self.activation_dtype)
    return getattr(self, stage)(x, batch_norm=batch_norm, stride=stride)

  def scale(self, images: tf.Tensor) -> tf.Tensor:
    """Pixels 0 to 255 to what the weights expect, in the compute dtype."""
    if self.preprocessing is None:
      return tf.cast(images, self.activation_dtype)
    return self.preprocessing(images, self.activation_dtype)


def prescription(
    depth: int = 101, width: float = 1.0, stem: str = "imagenet",
    stride_placement: str | None = None, padding: str | None = None,
    pre_activation: bool | None = None, batch_norm_epsilon: float | None = None,
) -> dict[str, Any]:
  """What weights prescribe of a `ResNet`, every default spelled out: arguments by name.

  Checkpoints carry it, so that whoever goes on with the weights computes what they were
  trained for.
  """
  placement = stride_placement or "first_1x1"
  return {
      "depth": depth, "width": width, "stem": stem, "stride_placement": placement,
      "padding": padding or ("same_pool" if placement == "last_3x3" else "symmetric"),
      "pre_activation": bool(pre_activation),
      "batch_norm_epsilon": 1e-5 if batch_norm_epsilon is None else batch_norm_epsilon}


def _channels(channels: int, width: float) -> int:
  return max(8, 8 * round(channels * width / 8))


def _check(what: str, found, allowed) -> None:
  if found not in allowed:
    raise errors.ConfigError(
        "resnet", what, repr(found), "one of " + ", ".join(str(value) for value in allowed)
    )
