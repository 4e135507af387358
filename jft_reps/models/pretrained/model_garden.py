"""Object checkpoints of Model Garden's ResNet (`official.vision`), with or without a head.

Variables are numbered by layer: `backbone/layer_with_weights-12/_conv2/kernel/.ATTRIBUTES/…`.
Strides are on the 3x3, everything is padded as TensorFlow's SAME, so sampling positions depend on
the picture's size. Epsilon is not in the file; 1e-5 is that of the published configurations.
"""

from __future__ import annotations

import re

from jft_reps.models.depths import UNITS
from jft_reps.models.pretrained.containers import Tensors
from jft_reps.models.pretrained.source import (
  ConvNorm,
  Origin,
  WeightSource,
  conv_norms,
  depth_of,
  norm_origins,
)
from jft_reps.ops import preprocessing

FORMAT = "Model Garden ResNet"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_UNIT = re.compile(r"^(.*)layer_with_weights-\d+/_conv3/kernel/")
_KERNEL = r"layer_with_weights-\d+/(?:_conv\d|_shortcut)/kernel"
_IGNORED = (r"^_CHECKPOINTABLE_OBJECT_GRAPH$", r"^(?!.*_(conv|norm)\d/)(?!.*_shortcut/).*optimizer",
            r"^save_counter", r"^(global_)?step", r"/\.OPTIMIZER_SLOT/", r"^optimizer")


def understand(tensors: Tensors) -> WeightSource | None:
  """The backbone of a Model Garden checkpoint, or None if this is none."""
  unit = tensors.first(_UNIT, "checkpoint")
  if unit is None:
    return None
  root, origins = unit[1], {}
  kernel = re.compile(re.escape(root) + _KERNEL + re.escape(_VALUE))
  depth = depth_of(tensors.path, [n for n in tensors.shapes if kernel.fullmatch(n)], lambda d: [
      f"{_names(part, root, d)[0]}/kernel{_VALUE}" for part in conv_norms(d) if part.stage > 1])
  for part in conv_norms(depth):
    conv, norm = _names(part, root, depth)
    origins[f"{part.conv}/kernel"] = Origin(f"{conv}/kernel{_VALUE}")
    origins |= norm_origins(part.norm, {
        n: f"{norm}/{n}{_VALUE}" for n in ("gamma", "beta", "moving_mean", "moving_variance")})
  network = {"depth": depth, "stride_placement": "first_3x3", "padding": "same",
             "batch_norm_epsilon": 1e-5}
  # Beside a backbone of that name everything is a head; in a bare model the next layers are.
  head = (rf"^(?!{re.escape(root)})" if root.endswith("backbone/") else
          rf"^(?!{re.escape(root)}layer_with_weights-)")
  return WeightSource(FORMAT, tensors, origins, network, preprocessing.STANDARDISED,
                assumed=("batch_norm_epsilon",), ignored=(*_IGNORED, head))


def _names(part: ConvNorm, root: str, depth: int) -> tuple[str, str]:
  if part.stage == 1:
    return f"{root}layer_with_weights-0", f"{root}layer_with_weights-1"
  number = 1 + sum(UNITS[depth][: part.stage - 2]) + part.unit
  unit = f"{root}layer_with_weights-{number}"
  conv = f"_conv{part.part}" if part.part else "_shortcut"
  return f"{unit}/{conv}", f"{unit}/_norm{part.part}"
