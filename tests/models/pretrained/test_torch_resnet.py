"""timm's relatives of ResNet that share its names are refused by name."""

import json

import numpy as np
import pytest

from jft_reps.errors import StorageError
from jft_reps.models.pretrained import loading, matching, recognise
from jft_reps.models.variables import named_variables
from tests.models.pretrained import numpy_resnet


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory):
  weights = {n: np.zeros(s, np.float32) for n, s in numpy_resnet.torch_shapes(50).items()}
  return numpy_resnet.write_safetensors(
      tmp_path_factory.mktemp("timm") / "model.safetensors", weights)


def beside(path, config):
  (path.parent / "config.json").write_text(json.dumps(config))
  return path


@pytest.mark.parametrize("architecture", [
    "resnet50", "resnet50.a1_in1k", "tv_resnet50", "ssl_resnet50", "gluon_resnet50_v1b"])
def test_plain_architectures_are_taken(weight_file, architecture):
  source = recognise.open_source(beside(weight_file, {"architecture": architecture}))
  assert source.network["depth"] == 50


@pytest.mark.parametrize("architecture", [
    "resnetblur50", "resnetaa50.a1h_in1k", "resnet50d", "resnet50_gn", "seresnet50",
    "wide_resnet50_2", "gluon_resnet50_v1c", "resnext50_32x4d"])
@pytest.mark.parametrize("inside", [False, True])
def test_others_are_refused_by_name(weight_file, architecture, inside):
  config = {"architecture": architecture}
  config = {"pretrained_cfg": config} if inside else config
  with pytest.raises(StorageError, match=rf"config\.json: {architecture}; expected resnet50.* such "
                     "as resnetblur50 differ in layers that have no tensors"):
    recognise.open_source(beside(weight_file, config))


def test_the_configuration_of_another_file_is_refused(weight_file):
  with pytest.raises(StorageError, match=r"resnet101\.tv_in1k; expected resnet50.*depth 50"):
    recognise.open_source(beside(weight_file, {"architecture": "resnet101.tv_in1k"}))


def test_without_an_architecture_the_names_decide(weight_file):
  recognise.open_source(beside(weight_file, {"mean": [0, 0, 0], "std": [1, 1, 1]}))


def test_the_deep_stem_of_resnet50d_has_no_partner(tmp_path):
  shapes = numpy_resnet.torch_shapes(50)
  del shapes["conv1.weight"]
  for i, shape in enumerate([(32, 3, 3, 3), (32,), (64, 32, 3, 3)]):
    shapes[f"conv1.{i}.weight"] = shape
  for stage in range(1, 5):  # a pool without parameters stands first
    for name in [n for n in shapes if n.startswith(f"layer{stage}.0.downsample.1.")]:
      shapes[name.replace("downsample.1", "downsample.2")] = shapes.pop(name)
    name = f"layer{stage}.0.downsample"
    shapes[f"{name}.1.weight"] = shapes.pop(f"{name}.0.weight")
  weights = {n: np.zeros(s, np.float32) for n, s in shapes.items()}
  source = recognise.open_source(
      numpy_resnet.write_safetensors(tmp_path / "resnet50d.safetensors", weights))
  found = matching.coverage(source, named_variables(loading.network(source)))
  assert "backbone/conv1/conv/kernel = conv1.weight absent" in found.absent()
  assert len(found.missing) == 1 + 4 * 5 and "conv1.0.weight" in found.extra
