"""Pose: what a step does to what, points back in stored pixels, doubles gone, and it learns."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.data.records import keypoint_schema, label_map
from jft_reps.data.records import schema as schema_lib
from jft_reps.data.records.writing import Writer
from jft_reps.errors import ConfigError, DataError, NumericError, StorageError
from jft_reps.metrics import oks
from jft_reps.models.resnet import STAGES
from jft_reps.models.variables import named_variables
from jft_reps.ops import keypoints as keypoint_ops
from jft_reps.ops import person_crops
from jft_reps.task import START
from jft_reps.tasks import pose
from jft_reps.tasks.backbone import Backbone
from jft_reps.tasks.evaluators import poses as pose_sets
from jft_reps.toy_world.records import write_records
from jft_reps.toy_world.world import ToyWorld
from jft_reps.training import optimizers, schedules, trainer
from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.evaluation import monitor
from jft_reps.training.run_directory.directory import RunDirectory
from tests.data import picture_files as files

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
  world = ToyWorld(seed=3, size=64)
  write_records(world, directory, "figures_train", 0, 16, 2)
  write_records(world, directory, "figures_test", 0, 5, 1)
  return directory


def task_of(folder, **values):
  return pose.create(folder, **{**SMALL, **values})


def train(task, path, steps, cluster=None, rate=0.01):
  options = trainer.TrainerOptions(
      steps=steps, optimizer=optimizers.Momentum(), weight_decay=0.0, checkpoint_every=steps,
      schedule=schedules.PiecewiseConstant((rate,)), log_every=5, ema_decay=0.9)
  run = RunDirectory(path)
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
  # Frozen statistics and random weights diverge at 0.03 on one device; stale gradients before that.
  run = train(task, tmp_path, 20, cluster=cluster_lib.start_in_process(2, 2), rate=0.001)
  before, after = weights(task, run, 0), weights(task, run, run.newest())
  assert run.newest() >= 20 and all(np.isfinite(v).all() for v in after.values())
  assert not np.array_equal(before["intermediate/kernel"], after["intermediate/kernel"])


class Oracle:
  """A model that finds in each crop the person whose box it is around."""

  num_points = 14

  def __init__(self, people, boxes):
    self._people = tf.constant(people, tf.float32)
    self._regions = person_crops.region(tf.constant(boxes, tf.float32), 1.25, *CROP)
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
  model = Oracle(people, boxes) if count else Silent()
  points, votes = pose_sets.find(
      model, tf.zeros([200, 160, 3], tf.uint8), tf.reshape(tf.constant(boxes, tf.float32), [-1, 4]),
      CROP)
  assert points.shape == (count, 14, 2) and votes.shape == (count, 14)
  np.testing.assert_allclose(points, people, atol=1e-3)
  np.testing.assert_allclose(votes[:, 0], 1.0 - 0.1 * np.arange(count), atol=1e-6)


class Silent:
  """A model that is never asked for anything but its shapes."""

  num_points = 14

  def poses(self, crops):
    batch = tf.shape(crops)[0]
    return tf.zeros([batch, 14, 2]), tf.zeros([batch, 14])


def test_the_loss_is_that_of_the_maps_with_everybody_in_it(figures):
  task = task_of(figures, batch_norm="frozen")
  model, batch = task.build(), next(iter(task.train_dataset(START)))
  batch = {**batch, "others": tf.constant(
      np.random.default_rng(0).uniform(5, 40, (4, 2, 14, 3)), tf.float32)}
  total, parts = task.loss(model, batch)
  maps = model(batch["image"], training=True)
  heat = lambda logits, ignored, stride: 4 * keypoint_ops.heatmap_loss(
      logits, batch["points"], ignored, stride, 5.0)
  expected = {"loss/heatmap": heat(maps.heat, None, 1),
              "loss/offsets": keypoint_ops.offset_loss(maps.offsets, batch["points"], 5.0),
              "loss/intermediate": heat(maps.intermediate, batch["others"], 8)}
  for name, value in expected.items():
    np.testing.assert_allclose(parts[name], value, rtol=1e-5)
  np.testing.assert_allclose(total, sum(map(float, expected.values())), rtol=1e-5)


def test_training_crops_are_mirrored_and_enlarged_as_configured(figures):
  seen = {}
  for key, values in (("plain", {"mirror": False, "enlarge": (1.25, 1.25)}),
                      ("mirrored", {"mirror": True, "enlarge": (1.25, 1.25)}),
                      ("larger", {"mirror": False, "enlarge": (1.5, 1.5)})):
    dataset = task_of(figures, **values).train_dataset(START).take(4)
    seen[key] = np.concatenate([batch["points"] for batch in dataset])
  height = lambda p: np.ptp(np.where(p[..., 2:] > 0, p, np.nan)[..., 0], axis=1)
  np.testing.assert_allclose(height(seen["plain"]) / height(seen["larger"]), 1.2, rtol=1e-3)
  turned = [not np.allclose(a, b) for a, b in zip(seen["plain"], seen["mirrored"])]
  assert any(turned) and not all(turned)


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


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
  """Two pictures with the ids of COCO, of one person and a crowd, and of nobody."""
  directory = tmp_path_factory.mktemp("numbered")
  schema = keypoint_schema.read("toy_world")
  points = np.full((2, 14, 3), 2.0)
  points[..., :2] = np.random.default_rng(0).uniform(0.2, 0.6, (2, 14, 2))
  with Writer(directory, "val", 1) as writer:
    writer.metadata.update(label_map.metadata(label_map.write(directory, ["person"])))
    writer.metadata.update(annotations="keypoints", keypoints=schema.to_json(), category_ids=[3])
    for name, count in (("7", 2), ("8", 0)):
      writer.write(name, schema_lib.encode(
          name, files.encoded(0, 60, 80), "jpeg", 60, 80, [], keypoints=points[:count].tolist(),
          boxes=[(0.1, 0.1, 0.7, 0.7), (0.2, 0.2, 0.9, 0.9)][:count], object_labels=[0, 0][:count],
          crowd=[False, True][:count], area=[1700.0, 2000.0][:count]))
  return directory


def boxes_file(path, *entries):
  path.write_text(json.dumps([{"image_id": image, "category_id": 3, "bbox": box, "score": 0.5}
                              for image, box in entries]))
  return str(path)


def test_people_are_looked_for_in_true_boxes_but_not_in_crowds(numbered):
  task = task_of(numbered, train_split=None, eval_splits=("val",))
  one, nobody = sorted(task.evaluators()[0].dataset(), key=lambda picture: picture["id"][0].numpy())
  np.testing.assert_allclose(one["found"][0], [[6, 8, 42, 56]], atol=1e-4)
  assert nobody["found"].shape == (1, 0, 4)


def test_people_are_looked_for_in_the_boxes_of_a_file(numbered, tmp_path, caplog):
  boxes_file(tmp_path / "val.json", (7, [8, 6, 20, 30]), (7, [1, 2, 3, 4]),
             (7, [500, 2, 3, 4]), (99, [0, 0, 9, 9]))
  task = task_of(numbered, train_split=None, eval_splits=("val",),
                 boxes=str(tmp_path / "{split}.json"))
  evaluator, = task.evaluators()
  one, nobody = sorted(evaluator.dataset(), key=lambda picture: picture["id"][0].numpy())
  np.testing.assert_allclose(
      sorted(one["found"][0].numpy().tolist()), [[2, 1, 6, 4], [6, 8, 36, 28]], atol=1e-4)
  assert nobody["found"].shape == (1, 0, 4)
  with caplog.at_level("WARNING", logger="absl"):
    monitor.judge(evaluator, task.build(), task=task)
  assert "1 pictures are not in the file of boxes" in caplog.text
  assert "1 boxes lie outside of their pictures" in caplog.text


def test_boxes_of_other_pictures_are_refused(numbered, tmp_path):
  path = boxes_file(tmp_path / "other.json", (99, [0, 0, 9, 9]))
  task = task_of(numbered, train_split=None, eval_splits=("val",), boxes=path)
  with pytest.raises(DataError, match="boxes of none of its 2 pictures"):
    monitor.judge(task.evaluators()[0], task.build(), task=task)
  task = task_of(numbered, train_split=None, eval_splits=("val",), boxes="missing.json")
  with pytest.raises(DataError, match="missing.json"):
    list(task.evaluators()[0].dataset())


def test_poses_are_written_for_cocos_server(numbered, tmp_path):
  task = task_of(numbered, train_split=None, eval_splits=("val",))
  evaluator, = task.evaluators()
  evaluator.submits = True
  for batch in evaluator.dataset():
    truth = {k: v.numpy() for k, v in batch.items()}
    people = truth["points"][:, ~truth["crowd"][0]]
    found = {"points": people[0, :, :, :2], "boxes": truth["found"][0],
             "votes": np.full(people.shape[1:3], 0.25, np.float32)}
    evaluator.update([truth["id"][0].decode()], found, truth)
  path = evaluator.write_submission(tmp_path)
  entry, = json.loads((tmp_path / "val" / "results.json").read_text())
  assert path == str(tmp_path / "val" / "results.json")
  assert (entry["image_id"], entry["category_id"], entry["score"]) == (7, 3, 0.25)
  expected = np.random.default_rng(0).uniform(0.2, 0.6, (2, 14, 2))[0] * [60, 80] - 0.5
  np.testing.assert_allclose(np.reshape(entry["keypoints"], (14, 3))[:, 1::-1], expected, atol=1e-3)


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
    ({"frozen_through": "conv6"}, "frozen_through"), ({"crop": (64, 48)}, "multiples of 8 plus 1")])
def test_values_that_mean_nothing_are_refused(figures, values, named):
  with pytest.raises(ConfigError, match=named):
    task_of(figures, **values)


def test_another_schema_than_that_of_the_records_is_refused(figures, tmp_path):
  with pytest.raises(DataError, match="other-keypoints.*those of coco"):
    task_of(figures, schema="coco")
  own = keypoint_schema.read("toy_world").to_json()
  for key, value, said in (("mirror", [], "mirror pairs"), ("sigmas", [1.0] * 14, "sigmas")):
    (tmp_path / "own.json").write_text(json.dumps({**own, key: value}))
    with pytest.raises(DataError, match=f"other {said}"):
      task_of(figures, schema=str(tmp_path / "own.json"))
