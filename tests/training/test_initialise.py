"""Weights are loaded whole, with evidence, or not at all."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import ConfigError, StorageError
from jft_reps.models import classifier, resnet
from jft_reps.models.pretrained import recognise
from jft_reps.models.variables import named_variables
from jft_reps.ops import preprocessing
from jft_reps.training import initialise
from jft_reps.training.optimizers import Momentum
from jft_reps.training.run_directory import checkpoints, finding
from jft_reps.training.state import TrainState
from tests.models.pretrained import numpy_resnet


class Task:
  """Only what a state asks of a task."""

  def __init__(self, **network):
    self._network = network

  def build(self):
    return classifier.Classifier(resnet.ResNet(**self._network), 3)

  def checkpoint_items(self, model):
    return dict(named_variables(model))

  def trainable(self, model):
    return {n: v for n, v in named_variables(model).items() if "head" not in n and v.trainable}


def fresh(average=True, **network):
  return TrainState(Task(**network), Momentum(), 1, 1, average, tf.distribute.get_strategy())


@pytest.fixture(scope="module")
def weights():
  return numpy_resnet.random_weights(numpy_resnet.torch_shapes(50))


def write(tmp_path, weights):
  return numpy_resnet.write_safetensors(tmp_path / "resnet50.safetensors", weights)


def values(state):
  return {n: v.numpy() for n, v in state.items().items() if n.startswith("backbone/")}


def test_the_whole_backbone_is_loaded_and_the_report_says_so(tmp_path, weights):
  source = recognise.open_source(write(tmp_path, weights))
  state = fresh(**source.network)
  before = values(state)
  report = initialise.from_source(state, source, report=tmp_path / "init_report.json")
  kernel = weights["layer3.2.conv2.weight"].transpose(2, 3, 1, 0)
  name = "backbone/conv4/unit_3/conv2/kernel"
  np.testing.assert_array_equal(values(state)[name], kernel)
  np.testing.assert_array_equal(state.items()[f"ema/{name}"].numpy(), kernel)
  stored = json.loads((tmp_path / "init_report.json").read_text())
  assert stored["share"] == report.share == 1.0 and stored["extra"] == []
  entry = stored["variables"][name]
  assert entry["status"] == "loaded" and entry["origin"] == "layer3.2.conv2.weight"
  assert entry["before"] == pytest.approx(np.linalg.norm(before[name]), rel=1e-5)
  assert entry["after"] == pytest.approx(np.linalg.norm(kernel), rel=1e-5)
  parameters = sum(v.size for v in before.values())
  assert f"265 of 265 variables, 100.00% of {parameters:,} backbone" in report.text()
  assert "new: head/kernel, head/bias" in report.text()
  assert len(report.text().splitlines()) < 24


@pytest.mark.parametrize("change, said", [
    (lambda w: w.update({"layer2.0.konv1.weight": w.pop("layer2.0.conv1.weight")}),
     r"backbone/conv3/unit_1/conv1/kernel = layer2\.0\.conv1\.weight absent.*layer2\.0\.konv1"),
    (lambda w: w.update({"layer1.0.se.fc1.weight": np.zeros((4, 4), np.float32)}),
     r"0 of 265 .*1 in the file only \(layer1\.0\.se\.fc1\.weight\)"),
    (lambda w: w.update({"conv1.weight": np.zeros((64, 4, 7, 7), np.float32)}),
     r"conv1/conv/kernel = conv1\.weight \(7, 7, 4, 64\) instead of \(7, 7, 3, 64\)")])
def test_a_file_that_is_not_this_network_changes_nothing(tmp_path, weights, change, said):
  changed = dict(weights)
  change(changed)
  source = recognise.open_source(write(tmp_path, changed))
  state = fresh(average=False, **source.network)
  before = values(state)
  with pytest.raises(StorageError, match=said):
    initialise.from_source(state, source)
  for name, value in values(state).items():
    np.testing.assert_array_equal(value, before[name])


def test_a_file_of_another_depth_names_the_variables(tmp_path, weights):
  source = recognise.open_source(write(tmp_path, weights))
  with pytest.raises(StorageError, match=r"conv4/unit_7/conv1/kernel absent"):
    initialise.from_source(fresh(average=False, depth=101), source)


def test_a_deeper_file_never_counts_as_the_whole_of_a_shallower_network(tmp_path, weights):
  deeper = dict(weights)
  for name, value in weights.items():
    if name.startswith("layer3.5."):
      for unit in range(6, 23):
        deeper[name.replace("layer3.5.", f"layer3.{unit}.")] = value
  source = recognise.open_source(write(tmp_path, deeper))
  assert source.network["depth"] == 101
  with pytest.raises(StorageError, match=r"0 of 265 .*255 in the file only \(layer3\.6\.conv1"):
    initialise.from_source(fresh(average=False, **{**source.network, "depth": 50}), source)


def test_names_may_be_allowed_by_pattern(tmp_path, weights):
  changed = {n: w for n, w in weights.items() if not n.startswith("bn1.")}
  changed["spare"] = np.zeros(2, np.float32)
  source = recognise.open_source(write(tmp_path, changed))
  state = fresh(average=False, **source.network)
  with pytest.raises(StorageError):
    initialise.from_source(state, source, allow=["spare"])
  report = initialise.from_source(state, source, allow=["spare", r"backbone/conv1/norm/.*"])
  assert 0.99 < report.share < 1.0
  assert "not loaded: backbone/conv1/norm/gamma (absent)" in report.text()
  assert "only in the file: spare" in report.text()
  with pytest.raises(ConfigError, match=re.escape("config.init.allow")):
    initialise.from_source(state, source, allow=["("])


def test_the_report_never_rounds_a_part_up_to_the_whole(tmp_path, weights):
  changed = {n: w for n, w in weights.items() if n != "bn1.bias"}
  source = recognise.open_source(write(tmp_path, changed))
  state = fresh(average=False, **source.network)
  report = initialise.from_source(state, source, allow=["backbone/conv1/norm/beta"])
  assert 0.99999 < report.share < 1.0  # 64 of 23 million
  assert "264 of 265 variables, 99.99% of" in report.text()


def save(path, values):
  path.parent.mkdir(exist_ok=True)
  tf.raw_ops.SaveV2(prefix=str(path), tensor_names=list(values), tensors=list(values.values()),
                    shape_and_slices=[""] * len(values))
  return path


def ours():
  return {"backbone/conv1/conv/kernel": tf.ones([3, 3, 3, 4]), "network": tf.constant("{}"),
          "preprocessing": tf.constant(json.dumps(preprocessing.SLIM.to_json()))}


@pytest.mark.parametrize("ending", ["", ".index"])
def test_a_checkpoint_of_ours_without_its_marker_does_not_exist(tmp_path, ending):
  path = save(tmp_path / "ckpt-12", ours())
  with pytest.raises(StorageError, match=r"checkpoint-not-committed.*ckpt-12: .*ckpt-12\.ok"):
    finding.find(f"{path}{ending}")
  checkpoints.save(tmp_path, 13, ours())
  assert finding.find(tmp_path) == finding.find(tmp_path / "ckpt-13") == tmp_path / "ckpt-13"
  with pytest.raises(StorageError, match="checkpoint-not-committed"):
    finding.find(path)
  with pytest.raises(StorageError, match="checkpoint-not-committed"):
    finding.find(save(tmp_path / "ckpt-14", {"other": tf.zeros(2)}))
  with open(tmp_path / "ckpt-13.data-00000-of-00001", "ab") as file:
    file.write(b"more")
  with pytest.raises(StorageError, match="checkpoint-damaged"):
    finding.find(tmp_path / "ckpt-13")


def test_a_run_without_any_marker_is_known_by_its_card(tmp_path):
  path = save(tmp_path / "ckpt-12", {"other": tf.zeros(2)})
  assert finding.find(path) == path
  (tmp_path / "run_card.md").write_text("# run")
  with pytest.raises(StorageError, match="checkpoint-not-committed"):
    finding.find(path)


def test_checkpoints_of_others_have_no_marker(tmp_path):
  foreign = {"backbone/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE": tf.zeros(2)}
  path = save(tmp_path / "ckpt-28080", foreign)
  assert finding.find(path) == path
  assert finding.find(save(tmp_path / "exported", ours())) == tmp_path / "exported"


def test_weights_that_are_not_finite_are_refused(tmp_path, weights):
  changed = {**weights, "bn1.bias": np.full(64, np.inf, np.float32)}
  source = recognise.open_source(write(tmp_path, changed))
  with pytest.raises(StorageError, match="bn1.bias: 64 values are not finite"):
    initialise.from_source(fresh(average=False, **source.network), source)
