"""Files that are no weights, or not whole, are refused by name and never run."""

import json
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import StorageError
from jft_reps.models.pretrained import containers, recognise, safetensors
from tests.models.pretrained import numpy_resnet


def test_safetensors_values_and_types(tmp_path):
  values = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7, np.int64)}
  path = numpy_resnet.write_safetensors(tmp_path / "x.safetensors", values, {"format": "pt"})
  found = safetensors.SafetensorsFile(path)
  assert found.shapes == {"a": (2, 3), "n": ()}
  np.testing.assert_array_equal(found.read("a"), values["a"])
  assert found.read("n") == 7


def test_bfloat16_is_read_exactly(tmp_path):
  values = np.array([1.0, -2.5, 3.140625, 1e30], np.float32)
  bits = (tf.cast(values, tf.bfloat16).numpy()).view(np.uint16)
  header = json.dumps({"x": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}).encode()
  path = tmp_path / "x.safetensors"
  path.write_bytes(len(header).to_bytes(8, "little") + header + bits.tobytes())
  np.testing.assert_array_equal(
      safetensors.SafetensorsFile(path).read("x"), tf.cast(values, tf.bfloat16).numpy())


@pytest.mark.parametrize("entry, found", [
    ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, "invalid shape"),
    ({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "the file is cut"),
    ({"dtype": "F32", "shape": [-2], "data_offsets": [8, 0]}, "integer `-2`"),
    ({"dtype": "EVIL", "shape": [], "data_offsets": [0, 4]}, "EVIL"),
    ({"shape": []}, "missing field `dtype`"), (3, "integer `3`"),
    ({"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}, "w: type F8_E4M3")])
def test_a_header_that_lies_is_refused(tmp_path, entry, found):
  header = json.dumps({"w": entry}).encode()
  path = tmp_path / "x.safetensors"
  path.write_bytes(len(header).to_bytes(8, "little") + header + b"1234")
  with pytest.raises(StorageError, match=found):
    safetensors.SafetensorsFile(path)


@pytest.mark.parametrize("data", [
    b"", b"{}", (1 << 30).to_bytes(8, "little") + b"{", (9).to_bytes(8, "little") + b"{not json",
    (2).to_bytes(8, "little") + b"[]"])
def test_cut_or_senseless_safetensors(tmp_path, data):
  path = tmp_path / "x.safetensors"
  path.write_bytes(data)
  with pytest.raises(StorageError, match="x.safetensors"):
    safetensors.SafetensorsFile(path)


class _Trap:
  def __reduce__(self):
    return os.mkdir, ("trap-sprung",)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_is_refused_and_not_read(tmp_path, monkeypatch, zipped):
  monkeypatch.chdir(tmp_path)
  path = tmp_path / "resnet50.pth"
  path.write_bytes(pickle.dumps(_Trap()))
  if zipped:
    with zipfile.ZipFile(tmp_path / "z.pth", "w") as archive:
      archive.write(path, "archive/data.pkl")
    path = tmp_path / "z.pth"
  with pytest.raises(StorageError, match="pickle") as e:
    containers.open_file(path)
  assert "safetensors" in str(e.value) and not (tmp_path / "trap-sprung").exists()


def test_hdf5_data_of_another_file_is_refused(tmp_path):
  (tmp_path / "secret").write_bytes(b"\0" * 16)
  with h5py.File(tmp_path / "x.h5", "w") as file:
    elsewhere = [(str(tmp_path / "secret"), 0, 16)]
    file.create_dataset("conv1_conv/kernel", (4,), "f4", external=elsewhere)
  with pytest.raises(StorageError, match="conv1_conv/kernel: data in another file"):
    containers.open_file(tmp_path / "x.h5")


def test_hdf5_links_are_not_followed(tmp_path):
  with h5py.File(tmp_path / "other.h5", "w") as file:
    file["kernel"] = np.ones(3)
  with h5py.File(tmp_path / "x.h5", "w") as file:
    file["outside"] = h5py.ExternalLink("other.h5", "kernel")
    file["inside"] = np.zeros(2)
  assert containers.open_file(tmp_path / "x.h5").shapes == {"inside": (2,)}


@pytest.mark.parametrize("keep", [4, 100, 0.5, 0.99])
def test_a_cut_hdf5_file(tmp_path, keep):
  path = tmp_path / "x.h5"
  with h5py.File(path, "w") as file:
    for i in range(40):
      file[f"conv{i}/kernel"] = np.random.default_rng(i).normal(size=(50, 50))
  size = path.stat().st_size
  os.truncate(path, int(keep if keep > 1 else keep * size))
  with pytest.raises(StorageError, match="x.h5"):
    tensors = containers.open_file(path)
    for name in tensors.shapes:
      tensors.read(name)


@pytest.mark.parametrize("file", ["index", "data"])
def test_a_cut_checkpoint(tmp_path, file):
  names = {f"resnet_v1_50/block1/unit_{i}/w": np.ones((100, 100), np.float32) for i in range(3)}
  tf.raw_ops.SaveV2(prefix=str(tmp_path / "m"), tensor_names=list(names),
                    tensors=list(names.values()), shape_and_slices=[""] * 3)
  path = next(p for p in tmp_path.iterdir() if f".{file}" in p.name)
  os.truncate(path, path.stat().st_size // 2)
  with pytest.raises(StorageError, match=str(tmp_path / "m")):
    tensors = containers.open_file(tmp_path / "m")
    for name in tensors.shapes:
      tensors.read(name)


def test_a_folder_says_what_is_inside(tmp_path):
  (tmp_path / "resnet.h5").write_bytes(b"x")
  with pytest.raises(StorageError, match=r"a folder.*Did you mean one of resnet\.h5"):
    containers.open_file(tmp_path)
  with pytest.raises(StorageError, match="no such file"):
    containers.open_file(tmp_path / "none.h5")


def test_names_of_no_convention_are_listed(tmp_path):
  path = numpy_resnet.write_safetensors(
      tmp_path / "x.safetensors", {"encoder.\x1b[31mlayer": np.zeros(3, np.float32)})
  with pytest.raises(StorageError, match=r"1 tensors of no known naming: encoder\.\\x1b"):
    recognise.open_source(path)


def test_a_model_saved_before_it_was_built(tmp_path):
  import tf_keras

  path = tf.train.Checkpoint(backbone=tf_keras.layers.Dense(3)).write(str(tmp_path / "ckpt"))
  with pytest.raises(StorageError, match="no variables .saved before the model was built"):
    recognise.open_source(path)
