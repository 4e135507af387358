"""torchvision's and timm's resnet50, 101 and 152 in `.safetensors`.

Names as `layer3.5.conv2.weight`, kernels with output channels first. Strides are on the 3x3 of a
stage's first unit and padding is symmetric. timm puts a `config.json` beside its weights, whose
mean and deviation are taken, and whose architecture has to be the plain one: `resnetblur50` and
`resnetaa50` have the same names and shapes, and blur where nothing in the tensors says so.
"""

from __future__ import annotations

import json
import re

from jft_reps.errors import StorageError, printable
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

FORMAT = "torchvision or timm resnet"
_ROOT = re.compile(r"(.*?)layer[1-4]\.\d+\.conv\d\.weight$")
# timm's names of the plain network; what follows a dot says who trained it.
_PLAIN = re.compile(
    r"(?:(?:(?:tv|ssl|swsl)_)?resnet(50|101|152)|gluon_resnet(50|101|152)_v1b)(?:\..*)?")
_KERNEL = r"(?:conv1|layer\d\.\d+\.(?:conv\d|downsample\.0))\.weight"
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
         "moving_variance": "running_var"}


def understand(tensors: Tensors) -> WeightSource | None:
  """The backbone of a torchvision or timm state dict, or None if this is none."""
  root = tensors.first(_ROOT, "safetensors")
  if root is None:
    return None
  kernel = re.compile(re.escape(root[1]) + _KERNEL)
  depth = depth_of(tensors.path, [n for n in tensors.shapes if kernel.fullmatch(n)], lambda d: [
      f"{root[1]}{_names(part)[0]}.weight" for part in conv_norms(d)])
  architecture, pixels = _config(tensors)
  _check_plain(tensors, architecture, depth)
  origins: dict[str, Origin] = {}
  for part in conv_norms(depth):
    conv, norm = (root[1] + name for name in _names(part))
    origins[f"{part.conv}/kernel"] = Origin(f"{conv}.weight", oihw=True)
    origins |= norm_origins(part.norm, {ours: f"{norm}.{n}" for ours, n in _NORM.items()})
  network = {"depth": depth, "stride_placement": "first_3x3", "padding": "symmetric",
             "batch_norm_epsilon": 1e-5}
  return WeightSource(FORMAT, tensors, origins, network, pixels,
                ignored=(r"num_batches_tracked$", rf"^{re.escape(root[1])}fc\."))


def _names(part: ConvNorm) -> tuple[str, str]:
  if part.stage == 1:
    return "conv1", "bn1"
  unit = f"layer{part.stage - 1}.{part.unit - 1}."
  if part.part == 0:
    return f"{unit}downsample.0", f"{unit}downsample.1"
  return f"{unit}conv{part.part}", f"{unit}bn{part.part}"


def _config(tensors: Tensors) -> tuple[str, preprocessing.Preprocessing]:
  """Architecture and pixels by timm's `config.json` beside the file: "" and the usual without."""
  path = tensors.path.parent / "config.json"
  if not path.is_file():
    return "", preprocessing.STANDARDISED
  try:
    config = json.loads(path.read_text(encoding="utf-8"))
    pretrained = config.get("pretrained_cfg", config)
    architecture = config.get("architecture") or pretrained.get("architecture") or ""
    if "mean" not in pretrained or "std" not in pretrained:
      return str(architecture), preprocessing.STANDARDISED
    mean, std = ([255.0 * float(v) for v in pretrained[k]] for k in ("mean", "std"))
    return str(architecture), preprocessing.Preprocessing(tuple(mean), tuple(std))
  except (ValueError, TypeError, AttributeError) as e:
    raise StorageError("weights-config", path, str(e)[:200], "timm's config.json",
                       "Correct it, or move it away for the usual mean and deviation.") from e


def _check_plain(tensors: Tensors, architecture: str, depth: int) -> None:
  """Refuses relatives of ResNet whose names are the same and whose layers are not."""
  plain = _PLAIN.fullmatch(architecture)
  if not architecture or (plain and int(plain[1] or plain[2]) == depth):
    return
  why = (f"The tensors are those of depth {depth}: is it the config.json of this file?" if plain
         else "Relatives such as resnetblur50 differ in layers that have no tensors.")
  raise StorageError("architecture", tensors.path.parent / "config.json", printable(architecture),
                     f"resnet{depth}, whose layers are known here", why)
