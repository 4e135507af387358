"""TF-slim's `resnet_v1_50`, `_101` and `_152`, the family of the paper's time.

Names as `resnet_v1_101/block3/unit_5/bottleneck_v1/conv2/weights`. Strides are taken by the last
unit of a block, pool1 is padded as TensorFlow's SAME, pictures are RGB less their mean.
"""

from __future__ import annotations

import re

from jft_reps.models.pretrained.containers import Tensors
from jft_reps.models.pretrained.source import (
  NOT_BACKBONE,
  ConvNorm,
  Origin,
  WeightSource,
  conv_norms,
  norm_origins,
)
from jft_reps.ops import preprocessing

FORMAT = "TF-slim resnet_v1"
_ROOT = re.compile(r"(?:^|.*/)resnet_v1_(50|101|152)/")


def understand(tensors: Tensors) -> WeightSource | None:
  """The backbone of a slim checkpoint, or None if this is none."""
  root = tensors.first(_ROOT, "checkpoint")
  if root is None:
    return None
  depth, origins = int(root[1]), {}
  for part in conv_norms(depth):
    conv = root[0] + _name(part)
    origins[f"{part.conv}/kernel"] = Origin(f"{conv}/weights")
    origins |= norm_origins(part.norm, {
        n: f"{conv}/BatchNorm/{n}" for n in ("gamma", "beta", "moving_mean", "moving_variance")})
  network = {"depth": depth, "stride_placement": "last_3x3", "padding": "same_pool",
             "batch_norm_epsilon": 1e-5}
  return WeightSource(FORMAT, tensors, origins, network, preprocessing.SLIM,
                assumed=("batch_norm_epsilon",), ignored=NOT_BACKBONE)


def _name(part: ConvNorm) -> str:
  if part.stage == 1:
    return "conv1"
  inside = f"conv{part.part}" if part.part else "shortcut"
  return f"block{part.stage - 1}/unit_{part.unit}/bottleneck_v1/{inside}"
