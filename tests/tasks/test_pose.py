"""Pose: what a step does to what, points back in stored pixels, doubles gone, and it learns."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.data import toy_records, toy_world
from jft_reps.errors import ConfigError, DataError, NumericError, StorageError
from jft_reps.metrics import oks
from jft_reps.models.resnet import STAGES
from jft_reps.models.variables import named_variables
from jft_reps.ops import keypoint_schema, person_crops
from jft_reps.tasks import pose, pose_sets
from jft_reps.tasks.backbone import Backbone
from jft_reps.training import cluster as cluster_lib
from jft_reps.training import monitor, optimizers, run_directory, schedules, trainer

CROP = (65, 49)
SMALL = {
    "backbone": Backbone(depth=14, width=0.125, stem="small", output_stride=8,
                         batch_norm_momentum=0.9),
    "schema": "toy_world", "train_split": "figures_train", "eval_splits": ("figures_test",),
    "crop": CROP, "radius": 5.0, "intermediate_unit": 1, "batch_size": 4, "shuffle": 32,
    "batch_norm": "recalibrate", "recalibration_pictures": 16}


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
  directory = tmp_path_factory.mktemp("figures")
  world = toy_world.ToyWorld(seed=3, size=64)
  toy_records.write_records(world, directory, "figures_train", 0, 16, 2)
  toy_records.write_records(world, directory, "figures_test", 0, 5, 1)
  return directory


def task_of(records, **values):
  return pose.create(records, **{**SMALL, **values})


def train(task, path, steps, cluster=None):
  options = trainer.Options(
      steps=steps, optimizer=optimizers.Momentum(), weight_decay=0.0, checkpoint_every=steps,
      schedule=schedules.PiecewiseConstant((0.01,)), log_every=5, ema_decay=0.9)
  run = run_directory.RunDirectory(path)
  trainer.Trainer(task, run, options, notes=task.notes, reasons=task.reasons,
                  cluster=cluster).train()
  return run


def weights(task, run, step):
  model = task.build()
  monitor.load_model(run.path / f"ckpt-{step}", task, model)
  return {name: np.asarray(v) for name, v in named_variables(model).items()}


def test_a_frozen_run_changes_conv5_and_the_head_alone(figures, tmp_path):
  task = task_of(figures, frozen_through="conv4", intermediate_unit=None)
  run = train(task, tmp_path, 3)
  before, after = weights(task, run, 0), weights(task, run, 3)
  changed = {name for name in before if not np.array_equal(before[name], after[name])}
  assert not [name for name in changed if name.startswith(
      tuple(f"backbone/{stage}/" for stage in STAGES[:4]))]
  assert {"head/kernel", "backbone/conv5/unit_1/conv1/kernel"} <= changed
  other = task_of(figures, intermediate_unit=1)
  with pytest.raises(StorageError, match="pose-differ.*intermediate_unit"):
    monitor.load_model(run.path / "ckpt-3", other, other.build())


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(figures, tmp_path):
  whole = weights(task_of(figures), train(task_of(figures), tmp_path / "whole", 4), 4)
  train(task_of(figures), tmp_path / "parts", 2)
  parts = weights(task_of(figures), train(task_of(figures), tmp_path / "parts", 4), 4)
  for name, value in whole.items():
    np.testing.assert_array_equal(value, parts[name], err_msg=name)


@pytest.mark.slow
def test_workers_and_servers_train_together(figures, tmp_path):
  task = task_of(figures)
  run = train(task, tmp_path, 20, cluster=cluster_lib.start_in_process(2, 2))
  before, after = weights(task, run, 0), weights(task, run, run.newest())
  assert run.newest() >= 20 and all(np.isfinite(v).all() for v in after.values())
  assert not np.array_equal(before["intermediate/kernel"], after["intermediate/kernel"])


class Oracle:
  """A model that finds in each crop the person whose box it is around."""

  num_points = 14

  def __init__(self, people, boxes):
    self._people = tf.constant(people, tf.float32)
    self._regions = person_crops.region(tf.constant(boxes, tf.float32), pose_sets.ENLARGED, *CROP)
    self.asked = 0

  def poses(self, crops):
    # Crops come in the order of boxes, the last group filled up.
    count = len(self._regions)
    which = [min(self.asked + i, count - 1) for i in range(len(crops))]
    self.asked += len(crops)
    regions = tf.gather(self._regions, which)
    points = person_crops.to_crop(tf.gather(self._people, which), regions, *CROP)
    return points, tf.ones(points.shape[:2]) * tf.constant(
        [[1.0 - 0.1 * i] for i in which], tf.float32)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_points_come_back_to_the_pixels_of_the_picture(count):
  rng = np.random.default_rng(count)
  corners = rng.uniform(0, 100, (count, 2))
  boxes = np.concatenate([corners, corners + rng.uniform(20, 90, (count, 2))], 1)
  people = corners[:, None] + rng.uniform(0, 40, (count, 14, 2))
  model = Oracle(people, boxes)
  eager = lambda: pose_sets.find(
      model, tf.zeros([200, 160, 3], tf.uint8), tf.constant(boxes, tf.float32), CROP)
  if not count:
    model = None  # nobody is asked
    found = pose_sets.find(Silent(), tf.zeros([200, 160, 3], tf.uint8), tf.zeros([0, 4]), CROP)
    assert found[0].shape == (0, 14, 2) and found[1].shape == (0, 14)
    return
  points, votes = eager()
  np.testing.assert_allclose(points, people, atol=1e-3)
  np.testing.assert_allclose(votes[:, 0], 1.0 - 0.1 * np.arange(count), atol=1e-6)


class Silent:
  """A model that is never asked for anything but its shapes."""

  num_points = 14

  def poses(self, crops):
    batch = tf.shape(crops)[0]
    return tf.zeros([batch, 14, 2]), tf.zeros([batch, 14])


def test_scores_are_mean_votes_and_doubles_go():
  rng = np.random.default_rng(0)
  sigmas = keypoint_schema.read("toy_world").sigmas
  person = rng.uniform(0, 100, (14, 2))
  points = np.stack([person, person + 0.1, person + 60]).astype(np.float32)
  votes = rng.random((3, 14)).astype(np.float32)
  votes[1] = votes[0] + 0.5  # the double is the better one
  boxes = np.array([[0, 0, 100, 80], [0, 0, 100, 80], [60, 60, 160, 140]], np.float32)
  found = pose_sets.rescored({"points": points, "votes": votes, "boxes": boxes}, sigmas, 0.5)
  alike = oks.similarity(points, np.full(3, 8000.0), sigmas)
  assert alike[0, 1] > 0.5 > alike[0, 2]
  order = np.argsort(-found.scores)
  expected = np.sort(votes.mean(1)[[1, 2]])[::-1]
  np.testing.assert_allclose(found.scores[order], expected, rtol=1e-6)
  assert {float(p[0, 0]) for p in found.points} == {float(points[i, 0, 0]) for i in (1, 2)}


def test_people_of_a_set_are_looked_for_in_true_boxes_or_those_of_a_file(figures, tmp_path):
  task = task_of(figures)
  pictures = list(task.evaluators()[0].dataset())
  for batch in pictures:
    np.testing.assert_array_equal(batch["found"], batch["boxes"])
  names = [batch["id"][0].numpy().decode() for batch in pictures]
  assert names[0].startswith("figures_test-")
  file = tmp_path / "boxes.json"
  file.write_text(json.dumps([{"image_id": 7, "category_id": 1, "bbox": [1, 2, 30, 40],
                               "score": 0.5}]))
  batch = next(iter(task_of(figures, boxes=str(file)).evaluators()[0].dataset()))
  assert batch["found"].shape == (1, 0, 4)  # no picture of these has a COCO number
  with pytest.raises(DataError, match="missing.json"):
    list(task_of(figures, boxes=str(tmp_path / "missing.json")).evaluators()[0].dataset())


def test_the_truth_of_every_person_scores_one(figures):
  task = task_of(figures)
  evaluator, = task.evaluators()
  for batch in evaluator.dataset():
    truth = {k: v.numpy() for k, v in batch.items()}
    found = {"points": truth["points"][0, :, :, :2], "boxes": truth["found"][0],
             "votes": np.ones(truth["points"].shape[1:3], np.float32)}
    evaluator.update([truth["id"][0].decode()], found, truth)
  numbers = evaluator.result()
  assert numbers["keypoints/AP"] == 1.0 and numbers["keypoints/AR"] == 1.0
  assert "14 points" in evaluator.last.definition


def test_a_model_that_diverged_is_refused_and_names_the_picture(figures):
  task = task_of(figures)
  model = task.build()
  model.head.bias.assign(tf.fill(model.head.bias.shape, np.float32("nan")))
  with pytest.raises(NumericError, match="pose-not-finite.*figures_test-"):
    monitor.judge(task.evaluators()[0], model, task=task)


def test_it_learns_its_training_people(figures, tmp_path):
  task = task_of(figures, eval_splits=("figures_train",), mirror=False)
  run = train(task, tmp_path, 200)
  model = task.build()
  values = {}
  for step in (0, 200):
    monitor.load_model(run.path / f"ckpt-{step}", task, model, average=step > 0)
    values[step] = monitor.judge(task.evaluators()[0], model, task=task)["keypoints/AP50"]
  assert values[0] < 0.05 and values[200] > 0.3, values


def test_pictures_show_people_and_poses(figures):
  task = task_of(figures)
  shown = task.pictures(task.build(), next(iter(task.evaluators()[0].dataset())))["poses"]
  assert shown.shape == (1, 480, 966, 3) and shown.dtype == np.uint8


@pytest.mark.parametrize("values,named", [
    ({"batch_norm": "none"}, "config.task.batch_norm"), ({"radius": 0.0}, "radius 0.0"),
    ({"suppression": 1.5}, "suppression 1.5"), ({"enlarge": (2.0, 1.0)}, "enlarge"),
    ({"frozen_through": "conv6"}, "frozen_through")])
def test_values_that_mean_nothing_are_refused(figures, values, named):
  with pytest.raises(ConfigError, match=named):
    task_of(figures, **values)


def test_another_schema_than_that_of_the_records_is_refused(figures):
  with pytest.raises(DataError, match="keypoint"):
    task_of(figures, schema="coco").train_dataset(0, 1, 0, (0, 0, 0))
