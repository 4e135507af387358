"""`keras.applications` ResNet50, ResNet101 and ResNet152, saved as `.h5` or `.weights.h5`.

Two conventions: layers by name (`conv4_block3_2_conv/kernel`, whole models below `model_weights`),
and Keras 3's counted classes (`layers/conv2d_17/vars/0`), in the order of the model's layers.
Convolutions have biases, batch-norm has epsilon 1.001e-5, pictures are BGR less their mean.
"""

from __future__ import annotations

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

FORMAT = "keras.applications ResNet"
_NAMED = re.compile(r"(?:^|/)conv\d_block\d+_[0-3]_(?:conv|bn)/")
_COUNTED = re.compile(r"^(.*/)?layers/conv2d(?:_\d+)?/vars/0$")
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_LAYER = re.compile(r"(?:conv1|conv\d_block\d+_\d)_(?:conv|bn)/")
_OPTIMIZER = r"^_?optimizer(_weights)?/"
_IGNORED = (r"(^|/)(predictions|probs|fc\d+|dense(_\d+)?|top_\w+)/", _OPTIMIZER, r"^metrics/",
            r"seed_generator", r"/(normalization|rescaling)")


def understand(tensors: Tensors) -> WeightSource | None:
  """The backbone of an HDF5 file of Keras, or None if this is none."""
  if tensors.kind != "hdf5":
    return None
  # An optimizer keeps its slots under the names of the layers.
  names = [n for n in tensors.shapes if not re.match(_OPTIMIZER, n)]
  if any(map(_NAMED.search, names)):
    depth, origins = _by_name(tensors, names)
  elif any(map(_COUNTED.match, names)):
    depth, origins = _by_count(tensors, names)
  else:
    return None
  network = {"depth": depth, "stride_placement": "first_1x1", "padding": "symmetric",
             "batch_norm_epsilon": 1.001e-5}
  return WeightSource(FORMAT, tensors, origins, network, preprocessing.CAFFE, ignored=_IGNORED)


def _by_name(tensors: Tensors, names: list[str]) -> tuple[int, dict[str, Origin]]:
  found = _layers(tensors, names)
  depth = depth_of(tensors.path, [n for n in found if n.endswith("_conv/kernel")], lambda d: [
      f"{_layer(part)}_conv/kernel" for part in conv_norms(d)])
  name = lambda layer, variable: found.get(f"{layer}/{variable}", f"{layer}/{variable}")
  origins = {}
  for part in conv_norms(depth):
    base = _layer(part)
    origins[f"{part.conv}/kernel"] = Origin(name(f"{base}_conv", "kernel"))
    origins |= norm_origins(
        part.norm, {n: name(f"{base}_bn", n) for n in _NORM}, name(f"{base}_conv", "bias"))
  return depth, origins


def _layer(part: ConvNorm) -> str:
  return "conv1" if part.stage == 1 else f"conv{part.stage}_block{part.unit}_{part.part}"


def _layers(tensors: Tensors, names: list[str]) -> dict[str, str]:
  """Names in the file by layer and variable.

  The same variable is `conv1_bn/conv1_bn/gamma:0` or `conv1_bn/gamma`, by the age of Keras.
  """
  found: dict[str, str] = {}
  for name in names:
    key = "/".join(name.removesuffix(":0").split("/")[-2:])
    if _LAYER.match(key) is None:
      continue
    if key in found:
      raise StorageError("weights-twice", tensors.path,
                         f"{key} is both {printable(found[key])} and {printable(name)}",
                         "one network in the file", "Save the weights of one model alone.")
    found[key] = name
  return found


def _by_count(tensors: Tensors, names: list[str]) -> tuple[int, dict[str, Origin]]:
  root = min(filter(None, map(_COUNTED.match, names)), key=lambda m: len(m[0]))[1] or ""
  kernel = lambda i: f"{root}layers/conv2d{f'_{i}' if i else ''}/vars/0"
  depth = depth_of(
      tensors.path, [m[0] for m in map(_COUNTED.match, names) if m and (m[1] or "") == root],
      lambda d: map(kernel, range(len(list(conv_norms(d))))))
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
