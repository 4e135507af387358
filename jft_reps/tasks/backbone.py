"""The network under a task, as a configuration states it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jft_reps.errors import ConfigError
from jft_reps.models import resnet
from jft_reps.models.depths import STAGES
from jft_reps.models.variables import BACKBONE, trainable_variables
from jft_reps.ops import preprocessing as preprocessing_lib


@dataclasses.dataclass(frozen=True)
class Backbone:
  """Arguments of a `models.resnet.ResNet`; None takes what loaded weights prescribe.

  Without weights, None is the network's own default.

  Attributes:
    depth, width, stem, output_stride, compute_dtype: see `models.resnet.ResNet`.
    stride_placement, padding, pre_activation, batch_norm_epsilon: likewise.
    batch_norm_momentum: 0.997; 0.9 where runs are short.
    preprocessing: of pixels, as `ops.preprocessing.Preprocessing.to_json`.
  """

  depth: int = 101
  width: float = 1.0
  stem: str = "imagenet"
  output_stride: int = 32
  stride_placement: str | None = None
  padding: str | None = None
  pre_activation: bool | None = None
  batch_norm_epsilon: float | None = None
  batch_norm_momentum: float = 0.997
  compute_dtype: str = "float32"
  preprocessing: Mapping[str, Any] | None = None

  def build(self) -> resnet.ResNet:
    """The network with random weights."""
    return resnet.ResNet(
        **self._weights(), output_stride=self.output_stride,
        batch_norm_momentum=self.batch_norm_momentum, compute_dtype=self.compute_dtype,
        preprocessing=self._pixels())

  def notes(self, pictures: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its pixels and its network.

    Args:
      pictures: how a picture becomes the network's input: `resize`, `crop`, `aspect`.
    """
    return {"preprocessing": {**self._pixels().to_json(), **pictures},
            "network": self._weights()}

  def _weights(self) -> dict[str, Any]:
    return resnet.prescription(
        depth=self.depth, width=self.width, stem=self.stem, padding=self.padding,
        stride_placement=self.stride_placement, pre_activation=self.pre_activation,
        batch_norm_epsilon=self.batch_norm_epsilon)

  def _pixels(self) -> preprocessing_lib.Preprocessing:
    return preprocessing_lib.from_json(
        self.preprocessing or preprocessing_lib.UNIT_RANGE.to_json())


def require_dense(backbone: Backbone) -> None:
  """Raises `ConfigError` where a network's last stage is too coarse for an answer per pixel."""
  if backbone.output_stride > 16:
    raise ConfigError("config-value", "config.task.backbone.output_stride",
                      str(backbone.output_stride), "8 as in the paper, or 16")


def trainable(model: Any, frozen_through: str | None = None) -> dict[str, Any]:
  """Every trained variable of a model with a `backbone`, by path.

  Those of stages up to and with `frozen_through` are left out: no slots and no decay.
  """
  end = 0 if frozen_through is None else STAGES.index(frozen_through) + 1
  frozen = tuple(f"{BACKBONE}{stage}/" for stage in STAGES[:end])
  return {path: item for path, item in trainable_variables(model).items()
          if not path.startswith(frozen)}
