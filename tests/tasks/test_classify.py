"""Classification: targets, losses, batch-norm modes, frozen stages, accuracy, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score

from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.errors import ConfigError
from jft_reps.models.resnet import STAGES
from jft_reps.ops import losses
from jft_reps.task import START
from jft_reps.tasks import classify
from jft_reps.tasks.backbone import Backbone
from jft_reps.toy_world.records import write_records
from jft_reps.toy_world.world import ToyWorld
from jft_reps.training import optimizers, schedules, trainer
from jft_reps.training.evaluation import monitor
from jft_reps.training.run_directory import checkpoints
from jft_reps.training.run_directory.directory import RunDirectory

SMALL = {"backbone": Backbone(depth=14, width=0.125, stem="small", batch_norm_momentum=0.9),
         "resize": 36, "crop": 32, "batch_size": 16, "eval_batch_size": 25, "shuffle": 64}


@pytest.fixture(scope="module")
def world():
  return ToyWorld(seed=5, size=40)


@pytest.fixture(scope="module")
def records(tmp_path_factory, world):
  directory = tmp_path_factory.mktemp("single")
  write_records(world, directory, "single_train", 0, 200, 2)
  write_records(world, directory, "single_test", 0, 60, 1)
  return directory


@pytest.fixture(scope="module")
def several(tmp_path_factory, world):
  directory = tmp_path_factory.mktemp("several")
  write_records(world, directory, "transfer_train", 0, 64, 1)
  write_records(world, directory, "transfer_test", 0, 60, 1)
  return directory


def single(records, **values):
  return classify.create(records, train_split="single_train", eval_splits=("single_test",),
                         **{**SMALL, **values})


def multi(several, **values):
  return classify.create(several, train_split="transfer_train", eval_splits=("transfer_test",),
                         multi_label=True, **{**SMALL, **values})


def train(task, path, steps, rate=0.05, initialize=None):
  options = trainer.TrainerOptions(
      steps=steps, optimizer=optimizers.Momentum(), checkpoint_every=steps, log_every=5,
      schedule=schedules.PiecewiseConstant((rate,)))
  run = RunDirectory(path)
  trainer.Trainer(task, run, options, initialize=initialize, notes=task.notes,
                  reasons=task.reasons).train()
  return run


def whole(evaluator):
  batches = list(evaluator.dataset().as_numpy_iterator())
  return {k: np.concatenate([b[k] for b in batches]) for k in ("id", "image", "targets")}


def test_a_picture_has_the_class_index_of_its_one_leaf(records, world):
  task = single(records)
  assert task.labels == world.leaves_alone.ids and len(task.labels) == 124
  batch = next(iter(task.train_dataset(START)))
  for name, target in zip(batch["id"].numpy(), batch["targets"].numpy()):
    split, index = name.decode().rsplit("-", 1)
    assert (target,) == world.picture(split, int(index)).labels


def test_pictures_with_another_number_of_labels_are_left_out_and_counted(several):
  task = classify.create(several, train_split="transfer_train", eval_splits=("transfer_test",),
                         **SMALL)
  with pytest.raises(tf.errors.InvalidArgumentError, match="too_many_labels"):
    for _ in task.train_dataset(START).take(9):
      pass


def test_the_softmax_loss_is_the_mean_of_log_sum_exp_less_the_own_logit(records):
  rng = np.random.default_rng(0)
  logits, labels = rng.normal(0, 3, (6, 9)), rng.integers(0, 9, 6)
  each = np.log(np.exp(logits).sum(1, keepdims=True)) - logits
  own = each[np.arange(6), labels]
  found = losses.softmax_cross_entropy(tf.constant(logits, tf.float32), tf.constant(labels))
  np.testing.assert_allclose(found, own.mean(), rtol=1e-5)
  found = losses.softmax_cross_entropy(tf.constant(logits, tf.float32), tf.constant(labels), 0.1)
  np.testing.assert_allclose(found, (0.9 * own + 0.1 * each.mean(1)).mean(), rtol=1e-5)
  task = single(records)
  model, batch = task.build(), next(iter(task.train_dataset(START)))
  loss, scalars = task.loss(model, batch)
  scores = model(batch["image"], batch_norm="train").numpy().astype(np.float64)
  own = np.log(np.exp(scores).sum(1)) - scores[np.arange(16), batch["targets"].numpy()]
  np.testing.assert_allclose(loss, own.mean(), rtol=1e-5)
  np.testing.assert_allclose(
      scalars["train/top1"], (scores.argmax(1) == batch["targets"].numpy()).mean())


def test_accuracy_is_counted_over_every_picture(records):
  task = single(records)
  model = task.build()
  (evaluator,) = task.evaluators()
  values = monitor.judge(evaluator, model)
  data = whole(evaluator)
  order = np.argsort(-model(data["image"], batch_norm="frozen").numpy(), axis=1)
  assert values["classification/pictures"] == 60
  for k in (1, 5):
    expected = np.mean([t in row[:k] for t, row in zip(data["targets"], order)])
    assert values[f"classification/top{k}"] == pytest.approx(expected)


def test_map_of_several_labels_is_the_plain_mean_of_scikit_learns(several):
  task = multi(several)
  model = task.build()
  (evaluator,) = task.evaluators()
  values = monitor.judge(evaluator, model)
  data = whole(evaluator)
  scores = model(data["image"], batch_norm="frozen").numpy()
  expected = [average_precision_score(data["targets"][:, c], scores[:, c])
              for c in range(len(task.labels)) if data["targets"][:, c].any()]
  assert values["classification/mAP"] == pytest.approx(np.mean(expected), abs=1e-6)
  assert task.best == "classification/mAP"


def test_several_labels_take_the_logistic_loss(several, world):
  task = multi(several)
  model, batch = task.build(), next(iter(task.train_dataset(START)))
  logits = model(batch["image"], batch_norm="train").numpy().astype(np.float64)
  names = [n.decode().rsplit("-", 1) for n in batch["id"].numpy()]
  targets = np.zeros_like(logits)
  for row, (split, index) in zip(targets, names):
    row[list(world.picture(split, int(index)).labels)] = 1
  expected = (np.logaddexp(0, logits) - targets * logits).sum() / 16
  np.testing.assert_allclose(task.loss(model, batch)[0], expected, rtol=1e-5)
  np.testing.assert_allclose(
      np.concatenate([p.numpy() for p in model.head.bias.parts]), -np.log(len(task.labels) - 1),
      rtol=1e-5)
  assert isinstance(task._expand, LabelExpansion)


@pytest.mark.parametrize("mode", ["train", "frozen", "recalibrate"])
def test_moving_statistics_change_only_as_the_mode_says(records, tmp_path, mode):
  task = single(records, batch_norm=mode, recalibration_batches=3)
  train(task, tmp_path, 3)
  name = "backbone/conv3/unit_1/norm2/moving_mean"
  first, last = (checkpoints.read(tmp_path / f"ckpt-{s}", [name])[name] for s in (0, 3))
  assert np.array_equal(first, last) == (mode != "train")
  assert np.any(first) == (mode == "recalibrate")
  assert f"| batch-norm | {mode} |" in (tmp_path / "run_card.md").read_text()
  if mode == "recalibrate":
    means, squares = [], []
    model = task.build()
    monitor.load_model(tmp_path / "ckpt-0", task, model)
    for batch in task.train_dataset(START).take(3):
      stem = model.backbone.conv1.conv(model.backbone.scale(batch["image"])).numpy()
      means.append(stem.mean((0, 1, 2)))
      squares.append((stem.astype(np.float64) ** 2).mean((0, 1, 2)))
    norm = model.backbone.conv1.norm
    np.testing.assert_allclose(norm.moving_mean, np.mean(means, 0), rtol=1e-4, atol=1e-5)
    variance = np.mean(squares, 0) - np.mean(means, 0) ** 2
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-2)


def test_a_resumed_run_is_not_recalibrated_again(records, tmp_path):
  task = single(records, batch_norm="recalibrate", recalibration_batches=2)
  train(task, tmp_path, 2)
  calls = []
  task.prepare = lambda model: calls.append(model) or ""
  train(task, tmp_path, 4)
  assert calls == []


def test_frozen_stages_keep_every_weight_and_have_no_slots(records, tmp_path):
  task = single(records, frozen_through="conv4")
  train(task, tmp_path, 3)
  names = checkpoints.shapes(tmp_path / "ckpt-3")
  old, new = (checkpoints.read(tmp_path / f"ckpt-{s}", sorted(names)) for s in (0, 3))
  for name in names:
    stage = name.removeprefix("backbone/").split("/")[0]
    if name.startswith("backbone/"):
      assert np.array_equal(old[name], new[name]) == (stage in STAGES[:4]), name
    slots = name.removeprefix("slots/momentum/backbone/").split("/")[0]
    assert slots not in STAGES[:4]
  assert not np.array_equal(old["head/kernel"], new["head/kernel"])


@pytest.mark.parametrize("key,value", [("batch_norm", "fixed"), ("frozen_through", "conv6")])
def test_an_unknown_mode_or_stage_is_named(records, key, value):
  with pytest.raises(ConfigError, match=f"config.task.{key}: '{value}'"):
    single(records, **{key: value})


@pytest.mark.slow
def test_it_learns_to_tell_pictures_apart(records, tmp_path):
  """From 60 pictures that it has seen, far more than chance, 1 of 124."""
  task = classify.create(records, train_split="single_test", eval_splits=("single_test",),
                         **{**SMALL, "batch_size": 20})
  run = train(task, tmp_path, 100, rate=0.1)
  results = monitor.Monitor(task, run, say=lambda text: None).follow(0.05, 60)
  assert results[0]["classification/top1"] < 0.1
  assert results[100]["classification/top1"] > 0.3
  assert (tmp_path / "best" / "info.json").exists()


def test_pictures_for_tensorboard_show_the_label_left(records):
  task = single(records)
  batch = next(iter(task.evaluators()[0].dataset()))
  (drawn,) = task.pictures(task.build(), batch).values()
  half = drawn.shape[2] // 2
  assert drawn.shape[0] == 8
  np.testing.assert_array_equal(drawn[:, 4:200, 4:200], drawn[:, 4:200, half + 4:half + 200])
