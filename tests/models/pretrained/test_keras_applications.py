"""Files of Keras that hold more than weights, and layers under other names."""

import h5py
import numpy as np
import pytest

from jft_reps.errors import StorageError
from jft_reps.models.pretrained import loading, matching, recognise
from jft_reps.models.variables import named_variables
from tests.models.pretrained import weight_files


@pytest.fixture(scope="module")
def named(tmp_path_factory):
  return weight_files.keras(tmp_path_factory.mktemp("named"), ".h5")


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
  return weight_files.keras(tmp_path_factory.mktemp("counted"), ".weights.h5", head=False)


def copied(path, folder):
  to = folder / path.name
  to.write_bytes(path.read_bytes())
  return h5py.File(to, "r+"), to


def tensors(file):
  found = {}
  file.visititems(lambda n, x: found.update({n: x}) if isinstance(x, h5py.Dataset) else None)
  return found


def test_slots_of_an_optimizer_are_never_taken_for_weights(named, tmp_path):
  path, kernel = tmp_path / "trained.h5", "conv3_block1_2_conv/kernel:0"
  with h5py.File(named) as file, h5py.File(path, "w") as trained:
    expected = file[f"conv3_block1_2_conv/{kernel}"][()]
    for name, values in tensors(file).items():
      trained[f"model_weights/{name}"] = values[()]
      for slot in "mv":
        trained[f"optimizer_weights/Adam/{slot}/{name.partition('/')[2]}"] = np.zeros_like(values)
    trained["optimizer_weights/iteration:0"] = 1
  source = recognise.open_source(path)
  origin = source.origins["conv3/unit_1/conv2/kernel"].name
  assert origin == f"model_weights/conv3_block1_2_conv/{kernel}"
  np.testing.assert_array_equal(source.read("conv3/unit_1/conv2/kernel"), expected)
  assert source.extra() == []


def test_slots_without_their_network_are_no_weights(named, tmp_path):
  path = tmp_path / "slots.h5"
  with h5py.File(named) as file, h5py.File(path, "w") as trained:
    for name, values in tensors(file).items():
      trained[f"optimizer_weights/Adam/v/{name}"] = values[()]
  with pytest.raises(StorageError, match="unknown-weights"):
    recognise.open_source(path)


def test_two_tensors_for_one_variable_are_refused(named, tmp_path):
  file, path = copied(named, tmp_path)
  with file:
    file["teacher/conv1_conv/kernel:0"] = np.zeros((7, 7, 3, 64), np.float32)
  with pytest.raises(StorageError, match=r"conv1_conv/kernel is both conv1_conv/conv1_conv/kernel"
                     r":0 and teacher/conv1_conv/kernel:0"):
    recognise.open_source(path)


def test_metrics_and_slots_of_a_compiled_model_are_no_backbone(counted, tmp_path):
  file, path = copied(counted, tmp_path)
  with file:
    for name in ("metrics/mean/vars/0", "metrics/mean_metric_wrapper/vars/1", "optimizer/vars/7"):
      file[name] = np.zeros(2, np.float32)
  assert recognise.open_source(path).extra() == []


@pytest.mark.slow
def test_a_trained_model_gives_its_weights_and_not_its_slots(tmp_path):
  whole, weights, model = weight_files.trained_keras(tmp_path)
  expected = {"conv1/conv/kernel": model.get_layer("conv1_conv").kernel,
              "conv4/unit_3/conv2/kernel": model.get_layer("conv4_block3_2_conv").kernel,
              "conv5/unit_1/shortcut_norm/gamma": model.get_layer("conv5_block1_0_bn").gamma}
  for path in (whole, weights):
    source = recognise.open_source(path)
    found = matching.coverage(source, named_variables(loading.network(source)))
    assert found.whole and len(found.shapes) == 265, path
    for name, value in expected.items():
      np.testing.assert_array_equal(source.read(name), value.numpy(), err_msg=name)


@pytest.mark.parametrize("made, layer, kernel", [
    ("named", "conv4_block6_3_conv/conv4_block6_3_conv", "conv4_block6_3_conv/kernel"),
    ("named", "conv1_conv/conv1_conv", "conv1_conv/kernel"),
    ("counted", "layers/conv2d_17", "layers/conv2d_17/vars/0"),
    ("counted", "layers/conv2d", "layers/conv2d/vars/0"),
    ("counted", "layers/conv2d_52", "layers/conv2d_52/vars/0")])
def test_a_renamed_layer_is_named(made, layer, kernel, request, tmp_path):
  file, path = copied(request.getfixturevalue(made), tmp_path)
  with file:
    parent, _, name = layer.rpartition("/")
    file.move(layer, f"{parent}/{name.replace('conv', 'konv')}")
  source = recognise.open_source(path)
  assert source.network["depth"] == 50
  with pytest.raises(StorageError, match=f"partial-weights.*2 of 265 .*{kernel} absent.*konv"):
    loading.load(source)


def test_a_counted_network_of_other_size_is_refused(counted, tmp_path):
  file, path = copied(counted, tmp_path)
  with file:
    for i in range(11):  # as if conv4 had more units
      file[f"layers/conv2d_{53 + i}/vars/0"] = np.zeros((1, 1, 2, 2), np.float32)
  with pytest.raises(StorageError, match=r"64 convolutions; nearest is ResNet-50.* absent none, in "
                     r"the file only 11 \(layers/conv2d_53/vars/0"):
    recognise.open_source(path)
