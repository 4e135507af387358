"""ResNet-101 of Tencent ML-Images, trained on 18M noisy multi-label pictures.

Names as `resnet/stages_2_block_6/conv3_b2/kernel` and `…/conv3_b2_bn/batch_normalization/gamma`
(https://github.com/Tencent/tencent-ml-images). It is a pre-activation network (He et al. 2016) of
its own kind: batch-norm and ReLU stand before each convolution, the projections included; there is
no max pooling, conv2 has a stride instead; one more batch-norm ends conv5. Pictures are in [-1, 1].
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
  depth_of,
  norm_origins,
)
from jft_reps.ops import preprocessing

FORMAT = "Tencent ML-Images ResNet"
_ROOT = re.compile(r"(.*?)stages_\d_block_\d+/")
_KERNEL = r"(init/init_conv|stages_\d_block_\d+/conv\d_b[12])(?:/conv2d)?/kernel"


def understand(tensors: Tensors) -> WeightSource | None:
  """The backbone of an ML-Images checkpoint, or None if this is none."""
  root = tensors.first(_ROOT, "checkpoint")
  if root is None:
    return None
  kernel = re.compile(re.escape(root[1]) + _KERNEL)
  depth = depth_of(tensors.path, [m[1] for m in map(kernel.fullmatch, tensors.shapes) if m],
                   lambda d: map(_name, conv_norms(d)))
  origins = _norm("conv5/norm", f"{root[1]}global_pool/bn", tensors)
  for part in conv_norms(depth):
    name = root[1] + _name(part)
    origins[f"{part.conv}/kernel"] = Origin(
        _existing(tensors, f"{name}/kernel", f"{name}/conv2d/kernel"))
    if part.stage > 1:  # conv1's batch-norm is the first of conv2's units
      origins |= _norm(part.norm, f"{name}_bn", tensors)
  network = {"depth": depth, "stride_placement": "first_3x3", "padding": "symmetric",
             "batch_norm_epsilon": 1e-5, "pre_activation": True}
  return WeightSource(FORMAT, tensors, origins, network, preprocessing.UNIT_RANGE,
                assumed=("batch_norm_epsilon",), ignored=NOT_BACKBONE)


def _name(part: ConvNorm) -> str:
  if part.stage == 1:
    return "init/init_conv"
  branch = f"conv{part.part}_b2" if part.part else "conv1_b1"
  return f"stages_{part.stage - 2}_block_{part.unit - 1}/{branch}"


def _existing(tensors: Tensors, *names: str) -> str:
  """The name that is there: `tf.layers` adds a scope of its own in some versions."""
  return next((name for name in names if name in tensors.shapes), names[0])


def _norm(path: str, name: str, tensors: Tensors) -> dict[str, Origin]:
  return norm_origins(path, {
      n: _existing(tensors, f"{name}/batch_normalization/{n}", f"{name}/{n}")
      for n in ("gamma", "beta", "moving_mean", "moving_variance")})
