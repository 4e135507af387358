"""torchvision's and timm's resnet50, 101 and 152 in `.safetensors`.

Names as `layer3.5.conv2.weight`, kernels with output channels first. Strides are on the 3x3 of a
stage's first unit and padding is symmetric. timm puts a `config.json` beside its weights, whose
mean and deviation are taken.
"""

from __future__ import annotations

import json
import re

from jft_reps.errors import StorageError
from jft_reps.models.pretrained.containers import Tensors
from jft_reps.models.pretrained.source import (
  ConvNorm,
  Origin,
  Source,
  conv_norms,
  depth_of,
  most,
  norm_origins,
)
from jft_reps.ops import preprocessing

FORMAT = "torchvision or timm resnet"
_ROOT = re.compile(r"(.*?)layer[1-4]\.\d+\.conv\d\.weight$")
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
         "moving_variance": "running_var"}


def understand(tensors: Tensors) -> Source | None:
  """The backbone of a torchvision or timm state dict, or None if this is none."""
  root = tensors.first(_ROOT, "safetensors")
  if root is None:
    return None
  units = most(r"layer(\d)\.(\d+)\.conv3\.weight$", list(tensors.shapes), 1)
  depth = depth_of(tensors.path, {stage: last + 1 for stage, last in units.items()})
  origins: dict[str, Origin] = {}
  for part in conv_norms(depth):
    conv, norm = (root[1] + name for name in _names(part))
    origins[f"{part.conv}/kernel"] = Origin(f"{conv}.weight", oihw=True)
    origins |= norm_origins(part.norm, {ours: f"{norm}.{n}" for ours, n in _NORM.items()})
  network = {"depth": depth, "stride_placement": "first_3x3", "padding": "symmetric",
             "batch_norm_epsilon": 1e-5}
  return Source(FORMAT, tensors, origins, network, _preprocessing(tensors),
                ignored=(r"num_batches_tracked$", rf"^{re.escape(root[1])}fc\."))


def _names(part: ConvNorm) -> tuple[str, str]:
  if part.stage == 1:
    return "conv1", "bn1"
  unit = f"layer{part.stage - 1}.{part.unit - 1}."
  if part.part == 0:
    return f"{unit}downsample.0", f"{unit}downsample.1"
  return f"{unit}conv{part.part}", f"{unit}bn{part.part}"


def _preprocessing(tensors: Tensors) -> preprocessing.Preprocessing:
  """timm's `config.json` beside the file decides, else the numbers both use by default."""
  path = tensors.path.parent / "config.json"
  if not path.is_file():
    return preprocessing.STANDARDISED
  try:
    config = json.loads(path.read_text(encoding="utf-8"))
    config = config.get("pretrained_cfg", config)
    if "mean" not in config or "std" not in config:
      return preprocessing.STANDARDISED
    mean, std = ([255.0 * float(v) for v in config[k]] for k in ("mean", "std"))
    return preprocessing.Preprocessing(tuple(mean), tuple(std))
  except (ValueError, TypeError, AttributeError) as e:
    raise StorageError("weights-config", path, str(e)[:200], "timm's config.json",
                       "Correct it, or move it away for the usual mean and deviation.") from e
