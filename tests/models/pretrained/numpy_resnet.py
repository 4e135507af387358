"""Residual networks of two other libraries, written down in NumPy with nothing of ours.

`torch` follows torchvision's `resnet.py` (bottlenecks, stride on the 3x3); `tencent` follows
`models/resnet.py` of Tencent ML-Images. Weights are dicts by the names these libraries use.
"""

from __future__ import annotations

import json
import pathlib

import numpy as np

UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def conv(x, kernel, stride=1):
  """`[n, h, w, in]` by HWIO `kernel`, `(size - 1) // 2` zeros on every side."""
  size = kernel.shape[0]
  reach = (size - 1) // 2
  x = np.pad(x, [(0, 0), (reach, reach), (reach, reach), (0, 0)])
  windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
  return np.einsum("nhwcij,ijco->nhwo", windows[:, ::stride, ::stride], kernel, optimize=True)


def max_pool(x):
  """3x3, stride 2, one row of minus infinity on every side."""
  x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
  windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
  return windows[:, ::2, ::2].max((-2, -1))


def normalise(x, gamma, beta, mean, variance):
  return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def torch_shapes(depth):
  """Names and shapes of torchvision's state dict, in its order."""
  shapes = {}

  def norm(name, channels):
    for field in ("weight", "bias", "running_mean", "running_var"):
      shapes[f"{name}.{field}"] = (channels,)
    shapes[f"{name}.num_batches_tracked"] = ()

  shapes["conv1.weight"] = (64, 3, 7, 7)
  norm("bn1", 64)
  channels = 64
  for stage, blocks in enumerate(UNITS[depth]):
    planes = 64 * 2**stage
    for block in range(blocks):
      name = f"layer{stage + 1}.{block}"
      for i, (cin, cout, size) in enumerate(
          [(channels, planes, 1), (planes, planes, 3), (planes, 4 * planes, 1)], 1):
        shapes[f"{name}.conv{i}.weight"] = (cout, cin, size, size)
        norm(f"{name}.bn{i}", cout)
      if block == 0:
        shapes[f"{name}.downsample.0.weight"] = (4 * planes, channels, 1, 1)
        norm(f"{name}.downsample.1", 4 * planes)
      channels = 4 * planes
  return {**shapes, "fc.weight": (7, 2048), "fc.bias": (7,)}


def tencent_shapes(depth):
  """Names and shapes of the variables that ML-Images' graph makes."""
  shapes = {}

  def norm(name, channels):
    for field in ("gamma", "beta", "moving_mean", "moving_variance"):
      shapes[f"{name}/batch_normalization/{field}"] = (channels,)

  shapes["init/init_conv/conv2d/kernel"] = (7, 7, 3, 64)
  channels = 64
  for stage, blocks in enumerate(UNITS[depth]):
    out = 256 * 2**stage
    for block in range(blocks):
      name = f"stages_{stage}_block_{block}"
      parts = [("conv1_b2", channels, out // 4, 1), ("conv2_b2", out // 4, out // 4, 3),
               ("conv3_b2", out // 4, out, 1)]
      if block == 0:
        parts.append(("conv1_b1", channels, out, 1))
      for part, cin, cout, size in parts:
        norm(f"{name}/{part}_bn", cin)
        shapes[f"{name}/{part}/conv2d/kernel"] = (size, size, cin, cout)
      channels = out
  norm("global_pool/bn", 2048)
  return {**shapes, "logits/dense/kernel": (2048, 11166), "logits/dense/bias": (11166,),
          "global_step": ()}


def random_weights(shapes, seed=0):
  """Kernels that keep the scale, batch-norm away from ones and zeros."""
  rng = np.random.default_rng(seed)
  weights = {}
  for name, shape in shapes.items():
    if len(shape) == 4:
      fan_in = np.prod(shape[1:]) if shape[2] == shape[3] else np.prod(shape[:3])
      weights[name] = rng.normal(0, np.sqrt(2 / fan_in), shape)
    elif name.endswith(("running_var", "moving_variance", "gamma")):
      weights[name] = rng.uniform(0.5, 1.5, shape)
    else:
      weights[name] = rng.normal(0, 0.2, shape) + (name.endswith("weight") and len(shape) == 1)
    weights[name] = np.asarray(weights[name], np.float32)
  return weights


def torch_features(weights, images, depth):
  """Features of layer1 to layer4, and of conv1, of RGB pixels 0 to 255."""
  kernel = lambda name: weights[f"{name}.weight"].transpose(2, 3, 1, 0)
  norm = lambda x, name: normalise(x, *(weights[f"{name}.{f}"] for f in (
      "weight", "bias", "running_mean", "running_var")))
  x = (images / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  x = np.maximum(norm(conv(x, kernel("conv1"), 2), "bn1"), 0)
  found = {"conv1": x}
  x = max_pool(x)
  for stage, blocks in enumerate(UNITS[depth]):
    for block in range(blocks):
      name, stride = f"layer{stage + 1}.{block}", 2 if stage and not block else 1
      y = np.maximum(norm(conv(x, kernel(f"{name}.conv1")), f"{name}.bn1"), 0)
      y = np.maximum(norm(conv(y, kernel(f"{name}.conv2"), stride), f"{name}.bn2"), 0)
      y = norm(conv(y, kernel(f"{name}.conv3")), f"{name}.bn3")
      if block == 0:
        x = norm(conv(x, kernel(f"{name}.downsample.0"), stride), f"{name}.downsample.1")
      x = np.maximum(x + y, 0)
    found[f"conv{stage + 2}"] = x
  return found


def tencent_features(weights, images, depth):
  """Features at the end of each stage, the last one after its batch-norm and ReLU."""
  def active(x, name):
    return np.maximum(normalise(x, *(weights[f"{name}/batch_normalization/{f}"] for f in (
        "gamma", "beta", "moving_mean", "moving_variance"))), 0)

  kernel = lambda name: weights[f"{name}/conv2d/kernel"]
  x = conv((images / 255.0 - 0.5) * 2.0, kernel("init/init_conv"), 2)
  found = {"conv1": x}
  for stage, blocks in enumerate(UNITS[depth]):
    for block in range(blocks):
      name, stride = f"stages_{stage}_block_{block}", 1 if block else 2
      y = conv(active(x, f"{name}/conv1_b2_bn"), kernel(f"{name}/conv1_b2"))
      y = conv(active(y, f"{name}/conv2_b2_bn"), kernel(f"{name}/conv2_b2"), stride)
      y = conv(active(y, f"{name}/conv3_b2_bn"), kernel(f"{name}/conv3_b2"))
      if block == 0:
        x = conv(active(x, f"{name}/conv1_b1_bn"), kernel(f"{name}/conv1_b1"), stride)
      x = x + y
    found[f"conv{stage + 2}"] = x
  found["conv5"] = active(x, "global_pool/bn")
  return found


def write_safetensors(path: pathlib.Path, weights, metadata=None) -> pathlib.Path:
  """The format in ten lines: length, JSON, bytes."""
  header, data, end = {"__metadata__": metadata or {}}, [], 0
  for name, value in weights.items():
    data.append(np.ascontiguousarray(value).tobytes())
    header[name] = {"dtype": "I64" if value.dtype == np.int64 else "F32",
                    "shape": list(value.shape), "data_offsets": [end, end + len(data[-1])]}
    end += len(data[-1])
  text = json.dumps(header).encode()
  path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))
  return path
