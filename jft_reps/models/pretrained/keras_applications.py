"""`keras.applications` ResNet50, ResNet101 and ResNet152, saved as `.h5` or `.weights.h5`.

Two conventions: layers by name (`conv4_block3_2_conv/kernel`, whole models below `model_weights`),
and Keras 3's counted classes (`layers/conv2d_17/vars/0`), in the order of the model's layers.
Convolutions have biases, batch-norm has epsilon 1.001e-5, pictures are BGR less their mean.
"""

from __future__ import annotations

import re

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
from jft_reps.models.resnet import UNITS
from jft_reps.ops import preprocessing

FORMAT = "keras.applications ResNet"
_NAMED = re.compile(r"(?:^|/)conv\d_block\d+_[0-3]_(?:conv|bn)/")
_COUNTED = re.compile(r"^(.*/)?layers/conv2d(?:_\d+)?/vars/0$")
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_IGNORED = (r"(^|/)(predictions|probs|fc\d+|dense(_\d+)?|top_\w+)/", r"^optimizer", r"^_optimizer",
            r"optimizer_weights", r"seed_generator", r"/(normalization|rescaling)")


def understand(tensors: Tensors) -> Source | None:
  """The backbone of an HDF5 file of Keras, or None if this is none."""
  if tensors.kind != "hdf5":
    return None
  names = list(tensors.shapes)
  if any(map(_NAMED.search, names)):
    depth, origins = _by_name(tensors, names)
  elif any(map(_COUNTED.match, names)):
    depth, origins = _by_count(tensors, names)
  else:
    return None
  network = {"depth": depth, "stride_placement": "first_1x1", "padding": "symmetric",
             "batch_norm_epsilon": 1.001e-5}
  return Source(FORMAT, tensors, origins, network, preprocessing.CAFFE, ignored=_IGNORED)


def _by_name(tensors: Tensors, names: list[str]) -> tuple[int, dict[str, Origin]]:
  depth = depth_of(tensors.path, most(r"conv(\d)_block(\d+)_[1-3]_conv/", names))
  # The same variable is `conv1_bn/conv1_bn/gamma:0` or `conv1_bn/gamma`, by the age of Keras.
  found = {"/".join(n.removesuffix(":0").split("/")[-2:]): n for n in names}
  name = lambda layer, variable: found.get(f"{layer}/{variable}", f"{layer}/{variable}")
  origins = {}
  for part in conv_norms(depth):
    base = "conv1" if part.stage == 1 else f"conv{part.stage}_block{part.unit}_{part.part}"
    origins[f"{part.conv}/kernel"] = Origin(name(f"{base}_conv", "kernel"))
    origins |= norm_origins(
        part.norm, {n: name(f"{base}_bn", n) for n in _NORM}, name(f"{base}_conv", "bias"))
  return depth, origins


def _by_count(tensors: Tensors, names: list[str]) -> tuple[int, dict[str, Origin]]:
  root = next(filter(None, map(_COUNTED.match, names)))[1] or ""
  count = sum(1 for n in names if _COUNTED.match(n))
  by_count = {len(list(conv_norms(d))): UNITS[d][2] for d in (50, 101, 152)}
  depth = depth_of(tensors.path, {4: by_count.get(count, count)})
  origins = {}
  for i, part in enumerate(sorted(conv_norms(depth), key=_layer_order)):
    number = f"_{i}" if i else ""
    conv, norm = f"{root}layers/conv2d{number}", f"{root}layers/batch_normalization{number}"
    origins[f"{part.conv}/kernel"] = Origin(f"{conv}/vars/0")
    origins |= norm_origins(
        part.norm, {n: f"{norm}/vars/{k}" for k, n in enumerate(_NORM)}, f"{conv}/vars/1")
  return depth, origins


def _layer_order(part: ConvNorm) -> tuple[int, int, float]:
  """Keras lists layers by their distance from the output: a shortcut stands before part 3."""
  return part.stage, part.unit, part.part or 2.5
