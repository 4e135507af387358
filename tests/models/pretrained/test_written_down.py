"""torchvision, timm and Tencent ML-Images against their networks written down in NumPy."""

import json

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import StorageError
from jft_reps.models import resnet
from jft_reps.models.pretrained import loading, recognise
from tests.models.pretrained import numpy_resnet
from tests.models.pretrained.test_round_trips import difference, pictures


def save_checkpoint(path, weights):
  """Named tensors, as TensorFlow 1 saved them."""
  tf.raw_ops.SaveV2(prefix=str(path), tensor_names=list(weights), tensors=list(weights.values()),
                    shape_and_slices=[""] * len(weights))
  return path


@pytest.mark.parametrize("size", [64, 75])
def test_torchvision_features_are_those_of_its_network(tmp_path, size):
  weights = numpy_resnet.random_weights(numpy_resnet.torch_shapes(50))
  path = numpy_resnet.write_safetensors(tmp_path / "model.safetensors", weights)
  source, x = recognise.open_source(path), pictures(size)
  ours = loading.load(source)(x, batch_norm="frozen")
  theirs = numpy_resnet.torch_features(weights, x, 50)
  for stage in resnet.STAGES:
    assert difference(ours[stage].numpy(), theirs[stage]) < 1e-4, stage


@pytest.mark.parametrize("depth, prefix", [(50, ""), (101, "module."), (152, "backbone.body.")])
def test_every_name_of_torchvision_is_used_or_known(tmp_path, depth, prefix):
  shapes = {prefix + name: shape for name, shape in numpy_resnet.torch_shapes(depth).items()}
  weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
  source = recognise.open_source(
      numpy_resnet.write_safetensors(tmp_path / "m.safetensors", weights))
  assert source.network["depth"] == depth and source.extra() == []
  used = {origin.name for origin in source.origins.values()}
  rest = {n for n in shapes if not n.endswith("num_batches_tracked")} - used
  assert rest == {f"{prefix}fc.weight", f"{prefix}fc.bias"}
  model = resnet.ResNet(**source.network)
  assert source.shape("conv5/unit_1/shortcut/kernel") == tuple(
      model.conv5.unit_1.shortcut.kernel.shape)


def test_mean_and_deviation_come_from_the_file_timm_puts_beside(tmp_path):
  weights = {n: np.zeros(s, np.float32) for n, s in numpy_resnet.torch_shapes(50).items()}
  path = numpy_resnet.write_safetensors(tmp_path / "model.safetensors", weights)
  config = {"pretrained_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.5, 1.0]}}
  (tmp_path / "config.json").write_text(json.dumps(config))
  found = recognise.open_source(path).preprocessing
  np.testing.assert_allclose(
      found(tf.constant([[[255, 102, 0]]], tf.uint8))[0, 0], [2.5, 0.0, -0.3], atol=1e-6)
  (tmp_path / "config.json").write_text("{")
  with pytest.raises(StorageError, match="config.json"):
    recognise.open_source(path)


@pytest.mark.parametrize("size, scope", [(64, ""), (75, "resnet/")])
def test_tencent_features_are_those_of_its_network(tmp_path, size, scope):
  weights = numpy_resnet.random_weights(numpy_resnet.tencent_shapes(50))
  path = save_checkpoint(tmp_path / "resnet.ckpt", {scope + n: w for n, w in weights.items()})
  source, x = recognise.open_source(path), pictures(size)
  model = loading.load(source)
  ours = model(x, batch_norm="frozen")
  theirs = numpy_resnet.tencent_features(weights, x, 50)
  for stage in resnet.STAGES:
    assert difference(ours[stage].numpy(), theirs[stage]) < 1e-4, stage
  dense = loading.load(source, output_stride=16)(x, batch_norm="frozen")["conv5"].numpy()
  assert difference(dense[:, ::2, ::2], theirs["conv5"]) < 1e-4
