"""Random weights in the formats of others give the features of their own graphs."""

import numpy as np
import pytest

from jft_reps.models import resnet
from jft_reps.models.pretrained import loading, recognise, source_graphs
from tests.models.pretrained import weight_files


def pictures(size, count=1):
  return np.random.default_rng(size).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def difference(ours, theirs):
  """Largest difference, in units of the largest feature."""
  assert ours.shape == theirs.shape
  return np.abs(ours - theirs).max() / np.abs(theirs).max()


def assert_same_features(path, sizes=(224, 299)):
  source = recognise.open_source(path)
  model, atrous = loading.load(source), None
  for size in sizes:
    x = pictures(size)
    theirs = source_graphs.features(source, x)
    ours = {k: v.numpy() for k, v in model(x, batch_norm="frozen").items()}
    assert set(ours) == set(theirs) == set(resnet.STAGES)
    for stage in resnet.STAGES:
      assert difference(ours[stage], theirs[stage]) < 1e-4, (size, stage)
    # At stride 16 the same values, at twice the positions.
    atrous = atrous or loading.load(source, output_stride=16)
    dense = atrous(x, batch_norm="frozen")["conv5"].numpy()
    step = -(-dense.shape[1] // theirs["conv5"].shape[1])
    assert difference(dense[:, ::step, ::step], theirs["conv5"]) < 1e-4, size
    assert atrous.feature_info["conv5"].stride == 16
  return source, model


@pytest.mark.parametrize(
    "depth, version", [(50, 2), pytest.param(101, 1, marks=pytest.mark.slow)])
def test_slim(tmp_path, depth, version):
  path = weight_files.slim(tmp_path, depth, version=version)
  source, _ = assert_same_features(path, (224, 299) if depth == 50 else (97,))
  assert source.network["stride_placement"] == "last_3x3"


def test_slim_at_its_own_smaller_strides(tmp_path):
  source, x = recognise.open_source(weight_files.slim(tmp_path)), pictures(129)
  for stride in (16, 8):
    theirs = source_graphs.features(source, x, stride)
    ours = loading.load(source, output_stride=stride)(x, batch_norm="frozen")
    for stage in resnet.STAGES:
      assert difference(ours[stage].numpy(), theirs[stage]) < 1e-4, (stride, stage)


@pytest.mark.parametrize("ending, head, whole", [
    (".h5", True, False), (".weights.h5", False, False),
    pytest.param("_notop.h5", False, False, marks=pytest.mark.slow),
    pytest.param("_model.h5", True, True, marks=pytest.mark.slow)])
def test_keras_applications(tmp_path, ending, head, whole):
  path = weight_files.keras(tmp_path, ending, 50, head, whole)
  source, _ = assert_same_features(path, (224, 299) if ending == ".h5" else (97,))
  assert source.preprocessing.channels == "BGR"


@pytest.mark.slow
@pytest.mark.parametrize("depth", [101, 152])
def test_keras_applications_of_other_depths(tmp_path, depth):
  assert_same_features(weight_files.keras(tmp_path, ".weights.h5", depth, False), (96,))


@pytest.mark.parametrize("wrap", [
    "backbone", *(pytest.param(w, marks=pytest.mark.slow) for w in ("classifier", ""))])
def test_model_garden(tmp_path, wrap):
  path = weight_files.model_garden(tmp_path, 50, wrap)
  assert_same_features(path, (224, 299) if wrap == "backbone" else (97,))


@pytest.mark.slow
def test_model_garden_of_another_depth(tmp_path):
  assert_same_features(weight_files.model_garden(tmp_path, 101), (98,))
