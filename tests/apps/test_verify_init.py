"""verify_init: a table of differences, an exit code, and plain words where nothing is compared."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jft_reps.apps import command_line, verify_init
from jft_reps.models import resnet
from jft_reps.models.pretrained.source import WeightSource
from jft_reps.models.variables import named_variables
from jft_reps.ops import preprocessing
from tests.models.pretrained import numpy_resnet, weight_files

MAKERS = {
    "slim": weight_files.slim,
    "keras h5": lambda folder: weight_files.keras(folder, ".h5"),
    "keras weights.h5": lambda folder: weight_files.keras(folder, ".weights.h5", head=False),
    "model garden": weight_files.model_garden}


def run(source, *more):
  return command_line.run(verify_init.main, [
      "verify_init", f"--source={source}", "--sizes=64", "--strides=32", *more])


def table(text):
  """(picture, stride, stage): (difference, largest, relative, verdict)."""
  rows = [line.split() for line in text.splitlines()]
  return {tuple(r[:3]): (*map(float, r[3:6]), r[6]) for r in rows if len(r) == 7 and "x" in r[0]}


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
  return weight_files.keras(tmp_path_factory.mktemp("keras"), ".h5")


@pytest.mark.slow
@pytest.mark.parametrize("made", MAKERS)
def test_a_file_agrees_with_the_graph_of_its_authors(made, tmp_path, capsys):
  assert run(MAKERS[made](tmp_path), "--count=1") == 0
  out = capsys.readouterr().out
  rows = table(out)
  assert list(rows) == [("64x64", "32", f"conv{i}") for i in range(1, 6)]
  for difference, largest, relative, verdict in rows.values():
    assert verdict == "ok" and relative <= 1e-4
    assert relative == pytest.approx(difference / largest, rel=0.1)
  assert "265 of 265 variables, 100.00% of 23,561,152 parameters" in out
  assert "1 of smooth noise, seed 0" in out and "all 5 comparisons within 0.0001" in out


@pytest.mark.slow
def test_a_perturbed_kernel_is_found_in_its_stage(keras_file, monkeypatch, capsys):
  read = WeightSource.read
  monkeypatch.setattr(WeightSource, "read", lambda self, name: read(self, name) * (
      1.01 if name == "conv4/unit_5/conv2/kernel" else 1.0))
  assert run(keras_file, "--strides=32,16") == 3
  captured = capsys.readouterr()
  rows = table(captured.out)
  assert len(rows) == 10
  for (_, _, stage), (*_, verdict) in rows.items():
    assert verdict == ("DIFFERS" if stage in ("conv4", "conv5") else "ok")
  assert "error[features-differ]" in captured.err
  assert "4 of 10 comparisons differ, from conv4 on" in captured.err


@pytest.mark.slow
def test_the_tolerance_is_the_users(keras_file, capsys):
  assert run(keras_file, "--tolerance=0") == 3
  assert run(keras_file, "--tolerance=1e-4", "--sizes=33,64", "--count=1") == 0
  assert {key[0] for key in table(capsys.readouterr().out)} >= {"33x33", "64x64"}


def test_pictures_of_a_folder_are_named(keras_file, tmp_path, capsys):
  pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
  Image.fromarray(pixels).save(tmp_path / "cat.png")
  Image.fromarray(pixels).save(tmp_path / "dog.jpg")
  assert run(keras_file, f"--pictures={tmp_path}", "--count=1") == 0
  out = capsys.readouterr().out
  assert "cat.png, resized" in out and "dog.jpg" not in out
  (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
  assert run(keras_file, f"--pictures={tmp_path}") == 2
  assert "cat.png" in capsys.readouterr().err


def torch_file(folder, change=lambda weights: None):
  weights = {n: np.zeros(s, np.float32) for n, s in numpy_resnet.torch_shapes(50).items()}
  change(weights)
  return numpy_resnet.write_safetensors(folder / "model.safetensors", weights)


def test_without_a_graph_it_says_so_and_what_it_recognised(tmp_path, capsys):
  assert run(torch_file(tmp_path)) == 0
  out = capsys.readouterr().out
  assert not table(out) and "not compared: no graph of torchvision or timm resnet" in out
  assert "depth 50, stride_placement first_3x3, padding symmetric" in out
  assert "RGB, less 123.7/116.3/103.5, over 58.4/57.12/57.38" in out
  assert "265 of 265 variables, 100.00%" in out


def test_a_checkpoint_of_ours_is_built_from_its_notes(tmp_path, capsys):
  network = {"depth": 14, "width": 0.125, "stem": "small", "stride_placement": "first_3x3"}
  values = {f"backbone/{n}": v.numpy()
            for n, v in named_variables(resnet.ResNet(**network)).items()}
  values |= {"network": json.dumps(network), "head/kernel": np.zeros((3, 2), np.float32),
             "preprocessing": json.dumps(preprocessing.SLIM.to_json())}
  tf.raw_ops.SaveV2(prefix=str(tmp_path / "x"), tensor_names=list(values),
                    tensors=list(values.values()), shape_and_slices=[""] * len(values))
  assert run(tmp_path / "x") == 0
  out = capsys.readouterr().out
  assert "not compared: its authors' network is ours" in out and "100.00%" in out
  assert "depth 14, width 0.125, stem small" in out and "RGB, less 123.7/116.8/103.9" in out


def test_unmatched_names_of_both_sides_are_listed(tmp_path, capsys):
  def rename(weights):
    weights["layer2.0.konv1.weight"] = weights.pop("layer2.0.conv1.weight")

  assert run(torch_file(tmp_path, rename)) == 4
  captured = capsys.readouterr()
  lines = [line.strip() for line in captured.out.splitlines() if "  unmatched " in line]
  assert lines == ["unmatched backbone/conv3/unit_1/conv1/kernel = layer2.0.conv1.weight absent",
                   "unmatched layer2.0.konv1.weight in the file only"]
  assert "264 of 265 variables, 99.86% of" in captured.out
  assert "error[partial-weights]" in captured.err and "layer2.0.konv1" in captured.err


def test_a_source_that_its_authors_network_refuses(keras_file, tmp_path, capsys):
  # By name every tensor of ours is there; by Keras' own list a layer has lost its weights.
  path = tmp_path / "odd.h5"
  path.write_bytes(keras_file.read_bytes())
  with h5py.File(path, "r+") as file:
    group = file["conv2_block1_1_conv"]
    group.attrs["weight_names"] = group.attrs["weight_names"][:1]
  assert run(path) == 4
  err = capsys.readouterr().err
  assert "error[source-graph]" in err and "a file that the network of keras" in err


def test_what_is_no_weight_file_is_refused(tmp_path, capsys):
  assert run(tmp_path / "none.h5") == 4
  names = {"a/b": tf.zeros(3)}
  tf.raw_ops.SaveV2(prefix=str(tmp_path / "x"), tensor_names=list(names),
                    tensors=list(names.values()), shape_and_slices=[""])
  assert run(tmp_path / "x") == 4
  assert "unknown-weights" in capsys.readouterr().err


@pytest.mark.parametrize("flag, message", [
    ("--sizes=64,big", "--sizes: 64,big; expected numbers, each 32 to 1024"),
    ("--sizes=31", "--sizes: 31"), ("--sizes=", "--sizes: empty"),
    ("--strides=4", "--strides: 4; expected numbers, each 8, 16 or 32")])
def test_flags_are_checked_before_anything_is_read(flag, message, capsys):
  assert run("nothing", flag) == 1
  assert message in capsys.readouterr().err
