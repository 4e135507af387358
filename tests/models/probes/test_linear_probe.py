import numpy as np
import pytest
from scipy import optimize

from jft_reps.errors import DataError
from jft_reps.models.probes import calibration, linear_probe, logistic_regression


def problem(count, d=20, classes=5, noise=1.5, seed=0):
  """Gaussian classes on features of very different scales."""
  rng = np.random.default_rng(seed)
  centres = np.random.default_rng(99).normal(size=(classes, d))
  labels = rng.integers(0, classes, count)
  scale = 10.0 ** np.random.default_rng(98).uniform(-2, 2, d)
  features = (centres[labels] + noise * rng.normal(size=(count, d))) * scale + 3 * scale
  return features.astype(np.float32), labels


@pytest.mark.parametrize("multi_hot", [False, True])
def test_ridge_is_the_solution_of_the_normal_equations(multi_hot):
  x, labels = problem(300)
  y = np.eye(5)[labels]
  if multi_hot:
    y[np.arange(300), (labels + 1) % 5] = 1
  probe = linear_probe.ridge(x, y if multi_hot else labels, 5, grid=(0.03,))
  z = (x.astype(np.float64) - x.mean(0)) / x.std(0)
  kernel = np.linalg.solve(z.T @ z + 0.03 * 300 * np.eye(20), z.T @ (y - y.mean(0)))
  np.testing.assert_allclose(probe.scores(x), z @ kernel + y.mean(0), atol=2e-3)
  assert probe.regularisation == 0.03 and "closed form" in probe.method


def test_ridge_chooses_the_regularisation_that_agrees_most_on_the_part_held_out():
  x, labels = problem(150, d=120, noise=4.0)
  grid = (1e-8, 1.0, 1e5)
  probe = linear_probe.ridge(x, labels, 5, grid)
  train, held = linear_probe.held_out(150, 0)
  agreement = {}
  for strength in grid:
    part = linear_probe.ridge(x[train], labels[train], 5, (strength,))
    agreement[strength] = linear_probe.agreement(part.scores(x[held]), labels[held])
  assert agreement[probe.regularisation] == max(agreement.values())
  assert len(set(agreement.values())) > 1


def test_logistic_regression_is_scikit_learns():
  from sklearn import linear_model, preprocessing

  x, labels = problem(600)
  test_x, test_labels = problem(2000, seed=1)
  probe = logistic_regression.logistic(x, labels, 5, grid=(0.01,), tolerance=1e-6, most=1000)
  scaler = preprocessing.StandardScaler().fit(x.astype(np.float64))
  reference = linear_model.LogisticRegression(C=1 / (0.01 * 600), tol=1e-8, max_iter=5000)
  reference.fit(scaler.transform(x), labels)
  assert probe.converged and "converged" in probe.method
  wanted = reference.predict_log_proba(scaler.transform(test_x))
  found = probe.scores(test_x).astype(np.float64)
  found -= np.log(np.exp(found).sum(1, keepdims=True))
  np.testing.assert_allclose(found, wanted, atol=0.02)
  accuracy = linear_probe.agreement(probe.scores(test_x), test_labels)
  assert accuracy == pytest.approx(reference.score(scaler.transform(test_x), test_labels),
                                   abs=0.005)


def test_rounding_may_end_the_search_and_too_few_steps_are_no_convergence(monkeypatch):
  x, labels = problem(600)
  search = optimize.minimize

  def rounded(*arguments, **options):  # on some processors rounding ends the line search first
    outcome = search(*arguments, **options)
    outcome.success, outcome.message = False, "ABNORMAL"
    return outcome

  with monkeypatch.context() as patched:
    patched.setattr(optimize, "minimize", rounded)
    exact = logistic_regression.logistic(x, labels, 5, grid=(0.01,), tolerance=0.0, most=1000)
  assert exact.converged and "converged to single precision" in exact.method
  short = logistic_regression.logistic(x, labels, 5, grid=(0.01,), tolerance=0.0, most=5)
  assert not short.converged and "stopped" in short.method


def test_sigmoids_for_multi_hot_targets_are_scikit_learns():
  from sklearn import linear_model, preprocessing

  x, labels = problem(400, classes=3)
  y = np.eye(3)[labels]
  y[:, 0] = np.maximum(y[:, 0], y[:, 1])
  probe = logistic_regression.logistic(x, y, 3, grid=(0.05,), tolerance=1e-6, most=1000)
  z = preprocessing.StandardScaler().fit_transform(x.astype(np.float64))
  for c in range(3):
    one = linear_model.LogisticRegression(C=1 / (0.05 * 400), tol=1e-8, max_iter=5000)
    one.fit(z, y[:, c])
    np.testing.assert_allclose(probe.scores(x)[:, c], one.decision_function(z), atol=0.02)


def test_a_constant_feature_changes_nothing():
  x, labels = problem(200)
  wide = np.concatenate([x, np.full((200, 1), 7.0, np.float32)], 1)
  one, other = (linear_probe.ridge(f, labels, 5, (0.1,)).scores(f) for f in (x, wide))
  np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_search_that_was_cut_short_says_so():
  x, labels = problem(200)
  probe = logistic_regression.logistic(x, labels, 5, grid=(1e-6,), tolerance=1e-12, most=3)
  assert not probe.converged and probe.iterations == 3 and "stopped" in probe.method


def test_shots_are_seeded_and_as_many_as_asked_for():
  labels = np.array([0] * 50 + [1] * 3 + [2] * 50)
  picked = linear_probe.shots(labels, 5, seed=1)
  assert np.bincount(labels[picked]).tolist() == [5, 3, 5]
  assert picked.tolist() == linear_probe.shots(labels, 5, seed=1).tolist()
  assert picked.tolist() != linear_probe.shots(labels, 5, seed=2).tolist()
  assert set(linear_probe.shots(labels, 1, seed=3)) <= set(range(103))


@pytest.mark.parametrize("features, targets, found", [
    (np.zeros((3, 2)), np.zeros(4, int), "3 features, 4 targets"),
    (np.zeros((3, 2)), np.array([0, 1, 5]), "ids 0 to 5"),
    (np.full((3, 2), np.nan), np.zeros(3, int), "not finite")])
def test_bad_input_is_named(features, targets, found):
  with pytest.raises(DataError, match=found):
    linear_probe.ridge(features, targets, 2)


def test_calibrated_scores_have_the_likelihood_of_a_search_over_gains():
  rng = np.random.default_rng(6)
  labels = rng.integers(0, 4, 500)
  scores = 0.1 * (rng.normal(size=(500, 4)) + 1.5 * np.eye(4)[labels])
  gain, shift = calibration.gain_and_shift(scores, labels)

  def loss(a):
    z = a * scores
    return np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(500), labels])

  best = min(np.exp(np.linspace(-2, 6, 4000)), key=loss)
  assert shift == 0 and gain == pytest.approx(best, rel=0.01)
  several = rng.random((500, 4)) < 1 / (1 + np.exp(-(30 * scores - 2)))
  gain, shift = calibration.gain_and_shift(scores, several)
  assert gain == pytest.approx(30, rel=0.35) and shift == pytest.approx(-2, abs=0.4)


def test_a_probes_probabilities_are_about_as_often_right_as_they_say():
  x, labels = problem(3000, noise=2.5)
  test_x, test_labels = problem(4000, noise=2.5, seed=1)
  scores = linear_probe.ridge(x, labels, 5).scores(test_x).astype(np.float64)
  likely = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
  assert abs(likely.max(1).mean() - (likely.argmax(1) == test_labels).mean()) < 0.06


def test_features_on_disk_are_never_copied_whole(tmp_path):
  """32 MB of features and a probe on 64 of them take less than half of that beside them."""
  import tracemalloc

  values = np.memmap(tmp_path / "features", np.float32, "w+", shape=(131_072, 64))
  rng = np.random.default_rng(0)
  for start in range(0, len(values), 8192):
    values[start : start + 8192] = rng.standard_normal((8192, 64), np.float32)
  labels = rng.integers(0, 3, len(values))
  for fit in (linear_probe.ridge, logistic_regression.logistic):
    tracemalloc.start()
    fit(values, labels, 3)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < values.nbytes / 2
