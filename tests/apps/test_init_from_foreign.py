"""Weights of another library through the whole of train, and on from its checkpoints."""

from __future__ import annotations

import json
import os
import re

import h5py
import numpy as np
import pytest
import tensorflow as tf

from jft_reps.apps import command_line, evaluate, train
from jft_reps.ops import preprocessing
from jft_reps.training.run_directory import checkpoints
from jft_reps.workflows import compose, weights
from tests.apps.tiny_run import arguments
from tests.models.pretrained import numpy_resnet, weight_files

_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
         "running_var": "moving_variance"}


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch, root):
  monkeypatch.chdir(root)
  monkeypatch.delenv("TF_CONFIG", raising=False)
  monkeypatch.setattr(command_line, "log_tensorflow_to", lambda path: None)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
  return tmp_path_factory.mktemp("records")


@pytest.fixture
def flags(tmp_path, records):
  """Arguments of a run of ResNet-50 on small generated pictures."""
  def make(source, steps=1):
    return arguments(
        tmp_path / "run", f"--config.init.checkpoint={source}",
        f"--config.task.records={records}", f"--config.task.hierarchy={records}/hierarchy.csv",
        "--config.task.backbone.depth=50", "--config.task.backbone.width=1.0",
        "--config.task.backbone.stem=imagenet", steps=steps, checkpoint_every=1)
  return make


@pytest.fixture(scope="module")
def torch_weights():
  return numpy_resnet.random_weights(numpy_resnet.torch_shapes(50))


def torch_in_our_layout(weights):
  """torchvision's names and layouts spelled as ours, with nothing of the library."""
  ours = {}
  for name, value in weights.items():
    if name.startswith("fc.") or name.endswith("num_batches_tracked"):
      continue
    block = re.match(r"layer(\d)\.(\d+)\.(.*)", name)
    path = f"backbone/conv{int(block[1]) + 1}/unit_{int(block[2]) + 1}/" if block else (
        "backbone/conv1/")
    layer, field = (block[3] if block else name).rsplit(".", 1)
    layer = {"downsample.0": "shortcut", "downsample.1": "shortcut_norm"}.get(layer, layer)
    layer = layer.replace("bn", "norm") if block else layer.rstrip("1").replace("bn", "norm")
    is_kernel = value.ndim == 4
    ours[f"{path}{layer}/{'kernel' if is_kernel else _NORM[field]}"] = (
        np.transpose(value, (2, 3, 1, 0)) if is_kernel else value)
  return ours


def keras_in_our_layout(path):
  """Names of Keras's layers spelled as ours; biases of convolutions go into the means."""
  with h5py.File(path) as file:
    found = {}
    file.visititems(lambda name, x: found.update({"/".join(name.split("/")[-2:]).removesuffix(
        ":0"): x[()]}) if isinstance(x, h5py.Dataset) else None)
  ours = {}
  for name, value in found.items():
    block = re.match(r"conv(\d)_(?:block(\d+)_(\d)_)?(conv|bn)/(\w+)", name)
    if block is None or block[5] == "bias":
      continue
    if block[5] == "moving_mean":
      value = value - found[f"{name.removesuffix('bn/moving_mean')}conv/bias"]
    part = block[3] or ""
    kind = {"conv": "conv", "bn": "norm"}[block[4]] + part
    kind = {"conv0": "shortcut", "norm0": "shortcut_norm"}.get(kind, kind)
    unit = f"unit_{block[2]}/" if block[2] else ""
    ours[f"backbone/conv{block[1]}/{unit}{kind}/{block[5]}"] = value
  return ours


def assert_holds(prefix, expected):
  reader = tf.train.load_checkpoint(str(prefix))
  names = {n for n in reader.get_variable_to_shape_map() if n.startswith("backbone/")}
  assert names == set(expected) and len(names) == 265
  for name, value in expected.items():
    np.testing.assert_array_equal(reader.get_tensor(name), value, err_msg=name)


def run_and_go_on(path, flags, tmp_path, expected, pixels, network, capsys):
  """Trains a step from the file, then goes on and evaluates without it."""
  run = tmp_path / "run"
  assert command_line.run(train.main, flags(path)) == 0
  report = json.loads((run / "init_report.json").read_text())
  assert report["share"] == 1.0 and report["extra"] == []
  assert {v["status"] for v in report["variables"].values()} == {"loaded"}
  assert_holds(run / "ckpt-0", expected)
  path.unlink()
  assert command_line.run(train.main, flags(path, steps=2)) == 0
  assert checkpoints.committed(run)[-1] == 2
  for step in (0, 2):
    reader = tf.train.load_checkpoint(str(run / f"ckpt-{step}"))
    note = {n: json.loads(reader.get_tensor(n)) for n in ("preprocessing", "network")}
    assert note["preprocessing"].items() >= pixels.to_json().items()
    assert note["network"].items() >= network.items()
  config = command_line.resolve(flags(path), evaluate.FLAGS, "").config
  model = compose.task(config, weights.open_source(run)).build()
  assert model.backbone.preprocessing == pixels
  capsys.readouterr()
  assert command_line.run(evaluate.main, flags(path)) == 0
  assert 0 <= json.loads(capsys.readouterr().out)["fasteval/mAP@100"] <= 1


@pytest.mark.slow
def test_torch_weights_start_a_run_that_goes_on_without_them(
    tmp_path, flags, torch_weights, capsys):
  path = numpy_resnet.write_safetensors(tmp_path / "resnet50.safetensors", torch_weights)
  run_and_go_on(
      path, flags, tmp_path, torch_in_our_layout(torch_weights), preprocessing.STANDARDISED,
      {"depth": 50, "stride_placement": "first_3x3", "padding": "symmetric"}, capsys)


@pytest.mark.slow
def test_keras_weights_start_a_run_that_goes_on_without_them(tmp_path, flags, capsys):
  path = weight_files.keras(tmp_path, ".h5")
  run_and_go_on(
      path, flags, tmp_path, keras_in_our_layout(path), preprocessing.CAFFE,
      {"depth": 50, "stride_placement": "first_1x1", "batch_norm_epsilon": 1.001e-5}, capsys)


def renamed(folder, weights):
  weights = dict(weights)
  weights["layer2.0.konv1.weight"] = weights.pop("layer2.0.conv1.weight")
  return numpy_resnet.write_safetensors(folder / "renamed.safetensors", weights)


def renamed_at_the_end_of_conv4(folder, weights):
  weights = dict(weights)
  weights["layer3.5.konv3.weight"] = weights.pop("layer3.5.conv3.weight")
  return numpy_resnet.write_safetensors(folder / "renamed.safetensors", weights)


def blurred(folder, weights):
  (folder / "config.json").write_text(json.dumps({"architecture": "resnetblur50"}))
  return numpy_resnet.write_safetensors(folder / "model.safetensors", weights)


def deeper(folder, weights):
  shapes = numpy_resnet.torch_shapes(101)
  return numpy_resnet.write_safetensors(
      folder / "deep.safetensors", {n: np.zeros(s, np.float32) for n, s in shapes.items()})


def reshaped(folder, weights):
  weights = {**weights, "layer4.2.conv3.weight": np.zeros((1024, 512, 1, 1), np.float32)}
  return numpy_resnet.write_safetensors(folder / "reshaped.safetensors", weights)


def cut(folder, weights):
  path = numpy_resnet.write_safetensors(folder / "cut.safetensors", weights)
  os.truncate(path, path.stat().st_size // 2)
  return path


@pytest.mark.parametrize("make, code, said", [
    (renamed, 4, ("partial-weights", "conv3/unit_1/conv1/kernel = layer2.0.conv1.weight absent",
                  "layer2.0.konv1.weight", "renamed.safetensors")),
    (renamed_at_the_end_of_conv4, 4, (
        "1 of 265", "conv4/unit_6/conv3/kernel = layer3.5.conv3.weight absent",
        "1 in the file only (layer3.5.konv3.weight)")),
    (blurred, 4, ("error[architecture]", "config.json: resnetblur50; expected resnet50")),
    (reshaped, 4, ("conv5/unit_3/conv3/kernel = layer4.2.conv3.weight (1, 1, 512, 1024) instead "
                   "of (1, 1, 512, 2048)",)),
    (deeper, 1, ("config.task.backbone.depth: 50; expected 101", "deep.safetensors")),
    (cut, 4, ("the file is cut", "cut.safetensors"))])
def test_a_file_that_is_not_the_whole_network_leaves_no_checkpoint(
    make, code, said, tmp_path, flags, torch_weights, capsys):
  assert command_line.run(train.main, flags(make(tmp_path, torch_weights))) == code
  last = capsys.readouterr().err.splitlines()[-1]
  assert last.startswith("jft_reps: error[")
  for words in said:
    assert words in last
  run = tmp_path / "run"
  assert not list(run.glob("ckpt-*")) and not (run / "init_report.json").exists()
