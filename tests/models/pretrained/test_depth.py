"""The depth of a file is told by all of its convolutions, so one renamed layer is named."""

import pathlib

import pytest

from jft_reps.errors import StorageError
from jft_reps.models.pretrained import loading, matching, recognise
from jft_reps.models.pretrained.containers import Tensors
from jft_reps.models.variables import named_variables
from tests.models.pretrained import numpy_resnet


def opened(monkeypatch, shapes, kind):
  """A file of names and shapes alone: no values are read."""
  tensors = Tensors(pathlib.Path("made.file"), kind, dict(shapes), lambda name: None)
  monkeypatch.setattr(recognise.containers, "open_file", lambda path: tensors)
  return recognise.open_source("made.file")


def unmatched(source):
  return matching.coverage(source, named_variables(loading.network(source)))


def renamed(shapes, old, new):
  found = {name.replace(old, new): shape for name, shape in shapes.items()}
  assert found.keys() != shapes.keys() and len(found) == len(shapes)
  return found


def garden_shapes(depth):
  """Model Garden's names from torchvision's shapes, in the order of its layers."""
  shapes, layers, end = {}, ["conv1", "bn1"], "/.ATTRIBUTES/VARIABLE_VALUE"
  norm = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
          "running_var": "moving_variance"}
  for name, shape in numpy_resnet.torch_shapes(depth).items():
    layer, field = name.rsplit(".", 1)
    if layer == "fc" or field not in norm:
      continue
    block, _, part = layer.rpartition(".")
    if layer.startswith("layer"):
      block = ".".join(layer.split(".")[:2])
      part = layer.removeprefix(f"{block}.")
      part = {"downsample.0": "_shortcut", "downsample.1": "_norm0"}.get(
          part, f"_{part.replace('bn', 'norm')}") + "/"
      if block not in layers:
        layers.append(block)
    path = f"backbone/layer_with_weights-{layers.index(block or part)}/{part if block else ''}"
    kernel = len(shape) == 4
    shapes[f"{path}{'kernel' if kernel else norm[field]}{end}"] = (
        (*shape[2:], shape[1], shape[0]) if kernel else shape)
  return shapes


@pytest.mark.parametrize("layer, ours", [
    ("layer3.5.conv3", "conv4/unit_6/conv3"), ("layer3.5.conv2", "conv4/unit_6/conv2"),
    ("layer4.0.downsample.0", "conv5/unit_1/shortcut"), ("conv1", "conv1/conv")])
def test_a_renamed_layer_of_torchvision_is_named(monkeypatch, layer, ours):
  shapes = numpy_resnet.torch_shapes(50)
  shapes[f"{layer}x.weight"] = shapes.pop(f"{layer}.weight")
  found = unmatched(opened(monkeypatch, shapes, "safetensors"))
  assert found.unmatched() == [f"backbone/{ours}/kernel = {layer}.weight absent",
                               f"{layer}x.weight in the file only"]


@pytest.mark.parametrize("depth, unit", [(50, "layer3.5"), (101, "layer3.22"), (152, "layer4.2")])
def test_a_missing_unit_does_not_change_the_depth(monkeypatch, depth, unit):
  shapes = {n: s for n, s in numpy_resnet.torch_shapes(depth).items()
            if not n.startswith(f"{unit}.")}
  source = opened(monkeypatch, shapes, "safetensors")
  assert source.network["depth"] == depth
  found = unmatched(source)
  assert len(found.missing) == 15 and found.extra == ()


@pytest.mark.parametrize("depth, last", [(50, 17), (101, 34), (152, 51)])
def test_the_last_unit_of_model_garden_may_be_renamed(monkeypatch, depth, last):
  shapes = garden_shapes(depth)
  assert unmatched(opened(monkeypatch, shapes, "checkpoint")).whole
  shapes = renamed(shapes, f"layer_with_weights-{last}/", "layer_with_weights-last/")
  source = opened(monkeypatch, shapes, "checkpoint")
  found = unmatched(source)
  assert source.network["depth"] == depth and len(found.missing) == len(found.extra) == 15
  assert found.unmatched()[0].startswith(
      f"backbone/conv5/unit_3/conv1/kernel = backbone/layer_with_weights-{last}/_conv1/kernel/")


@pytest.mark.parametrize("scope", ["", "resnet/"])
def test_the_last_conv4_unit_of_tencent_may_be_renamed(monkeypatch, scope):
  shapes = {scope + n: s for n, s in numpy_resnet.tencent_shapes(101).items()}
  assert unmatched(opened(monkeypatch, shapes, "checkpoint")).whole
  source = opened(monkeypatch, renamed(shapes, "stages_2_block_22/", "stages_2_last/"),
                  "checkpoint")
  found = unmatched(source)
  assert source.network["depth"] == 101 and len(found.missing) == len(found.extra) == 15
  assert f"{scope}stages_2_last/conv1_b2/conv2d/kernel in the file only" in found.unmatched()


def test_networks_of_two_convolutions_per_unit_are_refused(monkeypatch):
  shapes = {n: s for n, s in numpy_resnet.torch_shapes(50).items()
            if ".conv3." not in n and ".bn3." not in n and "layer1.0.downsample" not in n}
  with pytest.raises(StorageError, match=r"depth.*36 convolutions; nearest is ResNet-50, of whose"
                     r" 53 are absent 17 \(layer1\.0\.conv3\.weight, .*…\), in the file only none"):
    opened(monkeypatch, shapes, "safetensors")


def test_a_stage_of_ten_units_is_refused(monkeypatch):
  shapes = numpy_resnet.torch_shapes(50)
  for name, shape in list(shapes.items()):
    if name.startswith("layer3.5."):
      for unit in range(6, 10):
        shapes[name.replace("layer3.5.", f"layer3.{unit}.")] = shape
  with pytest.raises(StorageError, match=r"depth.*absent none, in the file only 12 \(layer3\.6\."):
    opened(monkeypatch, shapes, "safetensors")
