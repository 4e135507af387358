"""A probe on frozen features: features are the network's, logits the probe's, and few-shot."""

from __future__ import annotations

import numpy as np
import pytest

from jft_reps.errors import ConfigError
from jft_reps.models.probes import linear_probe
from jft_reps.tasks.frozen import cache
from jft_reps.tasks.frozen import features as frozen_features
from tests.tasks.test_classify import records, single, whole, world  # noqa: F401


@pytest.fixture(scope="module")
def extracted(records, tmp_path_factory):  # noqa: F811
  task = single(records)
  model, folder = task.build(), tmp_path_factory.mktemp("features")
  return task, model, folder, {
      split: frozen_features.extract(task, model, split, folder)
      for split in ("single_train", "single_test")}


def test_features_are_pooled_conv5_of_the_centre_crops(extracted):
  task, model, _, features = extracted
  data = whole(task.evaluators()[0])
  conv5 = model.backbone(data["image"], batch_norm="frozen", stages=("conv5",))["conv5"]
  found = features["single_test"]
  np.testing.assert_allclose(found.values, conv5.numpy().mean((1, 2)), rtol=1e-4, atol=1e-6)
  np.testing.assert_array_equal(found.targets, data["targets"])
  assert found.ids == [i.decode() for i in data["id"]]
  assert len(features["single_train"].ids) == 200 == len(set(features["single_train"].ids))


def test_other_weights_have_other_features(extracted):
  task, model, folder, features = extracted
  same = frozen_features.extract(task, model, "single_test", folder)
  np.testing.assert_array_equal(same.values, features["single_test"].values)
  other = frozen_features.extract(task, task.build(), "single_test", folder)
  assert not np.allclose(other.values, same.values)


@pytest.mark.parametrize("method", ["ridge", "logistic"])
def test_an_installed_probe_is_the_models_classifier(extracted, method):
  task, model, _, features = extracted
  options = frozen_features.ProbeOptions(method=method, grid=(0.1,))
  probe = frozen_features.fit(features["single_train"], len(task.labels), options)
  frozen_features.install(probe, model)
  data = whole(task.evaluators()[0])
  logits = model(data["image"], batch_norm="frozen").numpy()
  expected = features["single_test"].values @ probe.kernel + probe.bias
  np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
  assert method[:5] in probe.method


def test_few_shot_accuracy_is_that_of_ridge_on_each_draw():
  rng = np.random.default_rng(3)
  centres = rng.normal(size=(6, 12))

  def some(count):
    labels = rng.integers(0, 6, count)
    values = (centres[labels] + 0.8 * rng.normal(size=(count, 12))).astype(np.float32)
    return cache.Features([str(i) for i in range(count)], values, labels)

  train, test = some(400), some(300)
  options = frozen_features.ProbeOptions(shots=(1, 10), seeds=3)
  found = frozen_features.few_shot(train, test, 6, options)
  for shots in (1, 10):
    draws = []
    for seed in range(3):
      at = linear_probe.shots(train.targets, shots, seed)
      assert np.bincount(train.targets[at]).tolist() == [shots] * 6
      if shots == 10:  # enough to choose the strength on a tenth
        probe = linear_probe.ridge(train.values[at], train.targets[at], 6)
        draws.append(linear_probe.agreement(probe.scores(test.values), test.targets))
        continue
      x = train.values[at].astype(np.float64)
      deviation = np.where(x.std(0) > 1e-6, x.std(0), 1)
      z, y = (x - x.mean(0)) / deviation, np.eye(6)[train.targets[at]]
      kernel = np.linalg.solve(z.T @ z + 0.1 * len(at) * np.eye(12), z.T @ (y - y.mean(0)))
      scores = (test.values - x.mean(0)) / deviation @ kernel + y.mean(0)
      draws.append((scores.argmax(1) == test.targets).mean())
    row = found[f"{shots}-shot top1"]
    np.testing.assert_allclose(row["draws"], draws, atol=0.01)
    assert row["mean"] == pytest.approx(np.mean(row["draws"]))
    assert row["deviation"] == pytest.approx(np.std(row["draws"], ddof=1))
  assert found["10-shot top1"]["mean"] > found["1-shot top1"]["mean"]


@pytest.mark.parametrize("values", [{"method": "svm"}, {"shots": (0,)}, {"seeds": 0}])
def test_senseless_options_are_refused(values):
  with pytest.raises(ConfigError, match="config.probe"):
    frozen_features.ProbeOptions(**values)


@pytest.mark.parametrize("method, grid, chosen, said", [
    ("ridge", (), 1e-6, "λ 1e-06 is the least of the 9 tried"),
    ("ridge", (), 100.0, "λ 100 is the greatest of the 9 tried"), ("ridge", (), 0.1, ""),
    ("logistic", (), 1e-4, ""), ("logistic", (1e-3, 1e-4), 1e-3, "greatest of the 2"),
    ("ridge", (0.5,), 0.5, "")])
def test_a_strength_at_the_edge_of_its_grid_is_warned_of(method, grid, chosen, said):
  probe = linear_probe.Probe("", np.zeros((1, 1)), np.zeros(1), chosen)
  found = frozen_features.edge(probe, frozen_features.ProbeOptions(method, grid))
  assert found.startswith(said) if said.startswith("λ") else said in found
  assert bool(found) == bool(said)
