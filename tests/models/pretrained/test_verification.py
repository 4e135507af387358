"""A fault on the way from a file to our network is seen, and in the stage where it is."""

import dataclasses
import math

import h5py
import numpy as np
import pytest

from jft_reps.errors import ConfigError, DataError, StorageError
from jft_reps.models import resnet
from jft_reps.models.pretrained import (
  loading,
  matching,
  recognise,
  sample_pictures,
  source_graphs,
  verification,
)
from jft_reps.models.pretrained.source import WeightSource
from jft_reps.models.variables import named_variables
from tests.models.pretrained import numpy_resnet, weight_files


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
  return weight_files.keras(tmp_path_factory.mktemp("keras"), ".h5")


def agreeing(found):
  return [c.stage for c in found if c.agrees(1e-4)]


@pytest.mark.parametrize("output_stride", [
    32, pytest.param(8, marks=pytest.mark.slow)])
def test_numbers_are_those_of_the_two_networks(keras_file, output_stride):
  source, x = recognise.open_source(keras_file), sample_pictures.noise(75)
  found = verification.verify(source, x, output_stride)
  assert [(c.stage, c.size, c.output_stride) for c in found] == [
      (stage, (75, 75), output_stride) for stage in resnet.STAGES]
  theirs = source_graphs.features(source, x)
  ours = loading.load(source)(x, batch_norm="frozen")
  for c in found:
    assert c.scale == pytest.approx(theirs[c.stage].max())  # after a ReLU
    if output_stride == 32:
      assert c.difference == pytest.approx(np.abs(ours[c.stage] - theirs[c.stage]).max(), rel=0.5)
  assert agreeing(found) == list(resnet.STAGES)


def test_a_perturbed_kernel_shows_from_its_stage_on(keras_file, monkeypatch):
  read = WeightSource.read
  monkeypatch.setattr(WeightSource, "read", lambda self, name: read(self, name) * (
      1.001 if name == "conv3/unit_2/conv2/kernel" else 1.0))
  found = verification.verify(recognise.open_source(keras_file), sample_pictures.noise(64))
  assert agreeing(found) == ["conv1", "conv2"]


@pytest.mark.parametrize("wrong, good", [
    ({"padding": "same"}, []), ({"stride_placement": "first_3x3"}, ["conv1", "conv2"])])
def test_another_network_with_the_same_shapes_shows(keras_file, wrong, good):
  source = recognise.open_source(keras_file)
  source = dataclasses.replace(source, network={**source.network, **wrong})
  assert agreeing(verification.verify(source, sample_pictures.noise(64))) == good


@pytest.mark.parametrize("difference, scale", [
    (0.0, 0.0), (math.nan, 1.0), (0.0, math.nan), (math.inf, 2.0), (1.1e-4, 1.0)])
def test_what_is_no_small_number_is_no_agreement(difference, scale):
  assert not verification.Comparison("conv1", (64, 64), 32, difference, scale).agrees(1e-4)


def test_of_torch_weights_there_is_no_graph(tmp_path):
  weights = numpy_resnet.random_weights(numpy_resnet.torch_shapes(50))
  source = recognise.open_source(
      numpy_resnet.write_safetensors(tmp_path / "m.safetensors", weights))
  assert verification.verify(source, sample_pictures.noise(32)) == []
  with pytest.raises(ConfigError, match="whose graph can be built here"):
    source_graphs.features(source, sample_pictures.noise(32))


def test_both_unmatched_sides_are_counted_and_named(keras_file, tmp_path):
  path = tmp_path / "renamed.h5"
  path.write_bytes(keras_file.read_bytes())
  with h5py.File(path, "r+") as file:
    file.move("conv3_block2_1_conv/conv3_block2_1_conv", "conv3_block2_1_conv/konv3")
    del file["conv1_bn/conv1_bn/gamma:0"]
    file["conv1_bn/conv1_bn/gamma:0"] = np.ones(32, np.float32)
  source = recognise.open_source(path)
  found = matching.coverage(source, named_variables(loading.network(source)))
  layer = "conv3_block2_1_conv"
  assert found.missing == {  # the bias belongs to the mean that the next layer subtracts
      "conv1/norm/gamma": ("conv1_bn/conv1_bn/gamma:0", (32,)),
      "conv3/unit_2/conv1/kernel": (f"{layer}/kernel", None),
      "conv3/unit_2/norm1/moving_mean": (f"{layer}/bias", None)}
  assert set(found.extra) == {f"{layer}/konv3/kernel:0", f"{layer}/konv3/bias:0"}
  assert found.parameters == 23_508_032 + 2 * 26_560  # torchvision's count, and moving statistics
  assert found.share == pytest.approx(1 - (64 + 512 * 128 + 128) / found.parameters)
  with pytest.raises(StorageError, match=r"3 of 265 .*\(32,\) instead of .* 2 in the file only"):
    loading.load(source)


@pytest.mark.parametrize("share, text", [
    (1.0, "100.00%"), (1 - 1e-9, "99.99%"), (0.99996, "99.99%"), (0.5, "50.00%"), (0.0, "0.00%")])
def test_a_part_is_never_printed_as_the_whole(share, text):
  assert matching.percent(share) == text


def test_a_deeper_file_is_more_than_the_network(tmp_path):
  weights = {n: np.zeros(s, np.float32) for n, s in numpy_resnet.torch_shapes(101).items()}
  source = recognise.open_source(
      numpy_resnet.write_safetensors(tmp_path / "m.safetensors", weights))
  found = matching.coverage(source, named_variables(resnet.ResNet(50)))
  assert found.missing == {} and len(found.extra) == 17 * 3 * 5
  assert "layer3.22.conv3.weight in the file only" in found.unmatched()


def test_noise_is_seeded_smooth_and_uses_all_values():
  x = sample_pictures.noise(96, 3, seed=5)
  assert x.shape == (3, 96, 96, 3) and x.dtype == np.uint8
  np.testing.assert_array_equal(x, sample_pictures.noise(96, 3, seed=5))
  assert (x != sample_pictures.noise(96, 3, seed=6)).any()
  assert set(x.min((1, 2, 3))) == {0} and set(x.max((1, 2, 3))) == {255}
  # Along one axis: amplitude at 4 cycles a picture is 8 times that at 32.
  amplitude = np.abs(np.fft.fft2(sample_pictures.noise(96, 300), axes=(1, 2)))[:, 0].mean((0, 2))
  assert amplitude[4] / amplitude[32] == pytest.approx(8, rel=0.1)


def test_pictures_of_a_folder(tmp_path):
  from PIL import Image

  flat = np.full((20, 30, 3), (200, 100, 50), np.uint8)
  for name in ("b.png", "a.jpg", "c.PNG"):
    Image.fromarray(flat).save(tmp_path / name, quality=95)
  (tmp_path / "notes.txt").write_text("x")
  paths = sample_pictures.files(tmp_path, 2)
  assert paths == [str(tmp_path / "a.jpg"), str(tmp_path / "b.png")]
  x = sample_pictures.read(paths, 48)
  assert x.shape == (2, 48, 48, 3) and x.dtype == np.uint8
  np.testing.assert_allclose(x, np.broadcast_to(flat[0, 0], x.shape), atol=3)
  (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff no picture")
  with pytest.raises(DataError, match=r"a\.jpg"):
    sample_pictures.read(paths, 48)
  (tmp_path / "empty").mkdir()
  with pytest.raises(DataError, match="no picture directly in it"):
    sample_pictures.files(tmp_path / "empty")
  with pytest.raises(DataError, match="No such file"):
    sample_pictures.files(tmp_path / "none")
