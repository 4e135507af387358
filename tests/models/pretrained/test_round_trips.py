"""Random weights in the formats of others give the features of their own graphs."""

import numpy as np
import pytest

from jft_reps.models import resnet
from jft_reps.models.pretrained import loading, recognise, source_graphs
from tests.models.pretrained import weight_files


@pytest.fixture(scope="module")
def slim_file(tmp_path_factory):
  return weight_files.slim(tmp_path_factory.mktemp("slim"))


def pictures(size, count=1):
  return np.random.default_rng(size).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def difference(ours, theirs):
  """Largest difference, in units of the largest feature."""
  assert ours.shape == theirs.shape
  return np.abs(ours - theirs).max() / np.abs(theirs).max()


def assert_same_features(path, sizes=(97,)):
  """Every stage at stride 32, and at 16: the same values, at twice the positions."""
  source = recognise.open_source(path)
  models = {stride: loading.load(source, output_stride=stride) for stride in (32, 16)}
  assert models[16].feature_info["conv5"].stride == 16
  for size in sizes:
    x = pictures(size)
    theirs = source_graphs.features(source, x)
    for stride, model in models.items():
      ours = model(x, batch_norm="frozen")
      assert set(ours) == set(theirs) == set(resnet.STAGES)
      for stage in resnet.STAGES:
        step = models[32].feature_info[stage].stride // model.feature_info[stage].stride
        assert difference(ours[stage].numpy()[:, ::step, ::step], theirs[stage]) < 1e-4, (
            size, stride, stage)
  return source


@pytest.mark.slow
@pytest.mark.parametrize("make", [
    weight_files.slim, weight_files.model_garden,
    lambda folder: weight_files.keras(folder, ".h5"),
    lambda folder: weight_files.keras(folder, ".weights.h5", head=False)],
    ids=["slim", "model garden", "keras h5", "keras weights.h5"])
def test_pictures_of_the_usual_sizes(tmp_path, make):
  assert_same_features(make(tmp_path), (224, 299))


def test_slim(slim_file):
  assert assert_same_features(slim_file).network["stride_placement"] == "last_3x3"


@pytest.mark.slow
def test_slim_of_another_depth_in_the_format_of_2016(tmp_path):
  assert_same_features(weight_files.slim(tmp_path, 101, version=1))


@pytest.mark.parametrize("size, stride", [
    (97, 16), (97, 8), *(pytest.param(s, 16, marks=pytest.mark.slow) for s in (224, 299))])
def test_slim_at_its_own_smaller_strides(slim_file, size, stride):
  source, x = recognise.open_source(slim_file), pictures(size)
  theirs = source_graphs.features(source, x, stride)
  ours = loading.load(source, output_stride=stride)(x, batch_norm="frozen")
  for stage in resnet.STAGES:
    assert difference(ours[stage].numpy(), theirs[stage]) < 1e-4, stage


@pytest.mark.parametrize("ending, head, whole", [
    (".h5", True, False), (".weights.h5", False, False),
    pytest.param("_notop.h5", False, False, marks=pytest.mark.slow),
    pytest.param("_model.h5", True, True, marks=pytest.mark.slow)])
def test_keras_applications(tmp_path, ending, head, whole):
  path = weight_files.keras(tmp_path, ending, 50, head, whole)
  source = assert_same_features(path)
  assert source.preprocessing.channels == "BGR"


@pytest.mark.slow
@pytest.mark.parametrize("depth", [101, 152])
def test_keras_applications_of_other_depths(tmp_path, depth):
  assert_same_features(weight_files.keras(tmp_path, ".weights.h5", depth, False), (96,))


@pytest.mark.parametrize("wrap", [
    "backbone", *(pytest.param(w, marks=pytest.mark.slow) for w in ("classifier", ""))])
def test_model_garden(tmp_path, wrap):
  assert_same_features(weight_files.model_garden(tmp_path, 50, wrap))


@pytest.mark.slow
def test_model_garden_of_another_depth(tmp_path):
  assert_same_features(weight_files.model_garden(tmp_path, 101), (98,))
