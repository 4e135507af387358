"""Detection: what a step does to what, evaluation in stored pixels, and it learns."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.data.records import label_map, schema
from jft_reps.data.records import writing as records
from jft_reps.errors import ConfigError, NumericError, StorageError
from jft_reps.models.resnet import STAGES
from jft_reps.models.variables import named_variables
from jft_reps.task import START, Place
from jft_reps.tasks import detect
from jft_reps.tasks.backbone import Backbone
from jft_reps.tasks.panels import boxes as box_pictures
from jft_reps.tasks.panels import canvas
from jft_reps.toy_world.records import write_records
from jft_reps.toy_world.world import ToyWorld
from jft_reps.training import optimizers, schedules, trainer
from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.evaluation import monitor
from jft_reps.training.run_directory.directory import RunDirectory

SMALL = {
    "backbone": Backbone(depth=14, width=0.125, stem="small", output_stride=16,
                         batch_norm_momentum=0.9),
    "train_split": "boxes_train", "eval_splits": ("boxes_test",), "min_side": 64, "max_side": 64,
    "anchors": {"base": 32.0, "scales": [0.5, 1.0]}, "sampling": {"rpn": 32, "boxes": 16},
    "proposals": 30, "shuffle": 32, "batch_norm": "recalibrate", "recalibration_pictures": 20}


@pytest.fixture(scope="module")
def boxes(tmp_path_factory):
  directory = tmp_path_factory.mktemp("boxes")
  world = ToyWorld(seed=3, size=64)
  write_records(world, directory, "boxes_train", 0, 24, 2)
  write_records(world, directory, "boxes_test", 0, 6, 1)
  return directory


def task_of(records, **values):
  return detect.create(records, **{**SMALL, **values})


def train(task, path, steps, schedule=schedules.PiecewiseConstant((0.01,)), **values):  # noqa: B008
  options = trainer.TrainerOptions(
      steps=steps, optimizer=optimizers.Momentum(), schedule=schedule,
      weight_decay=0.0, gradient_clip=10.0, checkpoint_every=steps, log_every=5)
  run = RunDirectory(path)
  trainer.Trainer(task, run, options, notes=task.notes, reasons=task.reasons, **values).train()
  return run


def weights(task, run, step):
  model = task.build()
  monitor.load_model(run.path / f"ckpt-{step}", task, model)
  return {name: np.asarray(getattr(v, "parts", (v,))[0]) for name, v in
          named_variables(model).items()}


@pytest.mark.slow
def test_an_interrupted_run_draws_the_same_anchors_and_boxes(boxes, tmp_path):
  whole = train(task_of(boxes), tmp_path / "whole", 6)
  train(task_of(boxes), tmp_path / "parts", 3)
  parts = train(task_of(boxes), tmp_path / "parts", 6)
  a, b = (weights(task_of(boxes), run, 6) for run in (whole, parts))
  assert a.keys() == b.keys()
  for name in a:
    np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_a_frozen_run_changes_conv5_and_the_heads_alone(boxes, tmp_path):
  task = task_of(boxes, frozen_through="conv4")
  run = train(task, tmp_path, 3)
  before, after = weights(task, run, 0), weights(task, run, 3)
  changed = {name.rpartition("/")[0] for name in before
             if not np.array_equal(before[name], after[name])}
  assert not [name for name in changed if name.startswith(
      tuple(f"backbone/{stage}/" for stage in STAGES[:4]))]
  assert {"backbone/conv5/unit_1/conv1", "rpn/conv", "rpn/objectness", "classes",
          "codes"} <= changed
  # Batch-norm keeps the statistics it was given before the first step.
  assert all(np.array_equal(before[n], after[n]) for n in before if "moving" in n)
  # Which are those of this task's pictures, in frozen stages too.
  assert all(not np.allclose(before[n], 0) for n in before if n.endswith("moving_mean"))


class Oracle:
  """A model that finds what it is told, in pixels of the resized picture."""

  def __init__(self, batches):
    self._batches = iter(batches)

  def detect(self, image):
    batch = next(self._batches)
    return {"boxes": batch["boxes"][0], "classes": batch["classes"][0],
            "scores": tf.ones_like(batch["area"][0]), "finite": tf.constant(True)}


@pytest.mark.parametrize("metric,name", [("coco", "coco/AP"), ("voc", "voc/mAP")])
def test_who_finds_every_box_has_everything_right(boxes, metric, name):
  task = task_of(boxes, min_side=48, max_side=96, metric=metric)
  evaluator, = task.evaluators()
  batches = list(evaluator.dataset())
  model = Oracle(batches)
  for batch in batches:
    truth = {k: v.numpy() for k, v in batch.items()}
    found = {k: np.asarray(v) for k, v in evaluator.predict(model, batch).items()}
    np.testing.assert_allclose(found["boxes"], truth["boxes"][0] * 64 / 48, rtol=1e-5)
    evaluator.update([batch["id"].numpy()[0].decode()], found, truth)
  assert evaluator.result()[name] == pytest.approx(1.0)
  assert task.best == name and evaluator.last.pictures == 6


def picture_records(directory, boxes, classes):
  """Two pictures with the given boxes (normalised) and none."""
  image = tf.io.encode_jpeg(np.full([64, 64, 3], 120, np.uint8)).numpy()
  with records.Writer(directory, "boxes_train", 1) as writer:
    writer.metadata.update(label_map.metadata(label_map.write(directory, ["cat", "dog"])))
    writer.metadata["category_ids"] = [7, 21]
    for i, (box, label) in enumerate(((boxes, classes), ([], []))):
      writer.write(str(i + 10), schema.encode(str(i + 10), image, "jpeg", 64, 64, [], boxes=box,
                                          object_labels=label))


def test_detections_are_written_for_the_server(tmp_path):
  picture_records(tmp_path, [(0.25, 0.5, 0.75, 1.0)], [1])
  for metric, written in (("voc", "voc/boxes_train/comp4_det_test_dog.txt"),
                          ("coco", "coco/boxes_train/results.json")):
    evaluator, = task_of(tmp_path, eval_splits=("boxes_train",), metric=metric).evaluators()
    evaluator.submits = True
    for batch in evaluator.dataset():
      truth = {k: v.numpy() for k, v in batch.items()}
      found = {k: np.asarray(v) for k, v in evaluator.predict(Oracle([batch]), batch).items()}
      evaluator.update([truth["id"][0].decode()], found, truth)
    evaluator.write_submission(tmp_path / metric)
    text = (tmp_path / written).read_text()
    if metric == "voc":
      assert text.split() == ["10", "1.0", "33.000", "17.000", "64.000", "48.000"]
    else:
      assert json.loads(text) == [
          {"image_id": 10, "category_id": 21, "bbox": [32, 16, 32, 32], "score": 1.0}]


def test_a_picture_without_boxes_has_a_loss_of_background_alone(tmp_path):
  picture_records(tmp_path, [(0.1, 0.1, 0.6, 0.7), (0.5, 0.5, 0.5, 0.9)], [1, 0])
  task = task_of(tmp_path, eval_splits=())
  model = task.build()
  seen = {}
  for batch in task.train_dataset(START).take(2):
    loss, parts = task.loss(model, batch)
    assert np.isfinite(loss)
    seen[batch["id"].numpy()[0].decode()] = {k: float(v) for k, v in parts.items()}
  assert seen["11"]["loss/rpn_box"] == 0 and seen["11"]["loss/head_box"] == 0
  assert seen["11"]["loss/rpn_objectness"] > 0 and seen["10"]["loss/rpn_box"] > 0
  # The box without area is no object, and is counted.
  assert seen["10"]["data/dropped_boxes"] == 1 and seen["11"]["data/dropped_boxes"] == 0


def test_what_a_detector_does_not_know_is_refused(boxes):
  for key, value in (("metric", "lvis"), ("batch_norm", "frosty"), ("frozen_through", "conv6")):
    with pytest.raises(ConfigError, match=f"config.task.{key}.*'{value}'"):
      task_of(boxes, **{key: value})


def test_panels_show_the_truth_left_and_what_was_found_right():
  image = np.zeros([40, 80, 3], np.uint8)
  panel = box_pictures.panel(image, [((10, 10, 30, 30), 0, "cat")], [((5, 50, 35, 70), 1, "dog")])
  assert panel.shape == (480, 966, 3)
  red, other = canvas.colour(0), canvas.colour(1)
  left, right = panel[:, :480], panel[:, 486:]
  assert (left[120, 60] == red).all() and (left[100, 180] == red).all()  # left and right side
  assert (right[100, 300] == other).all() and (right[100, 420] == other).all()
  assert not (right == red).all(-1).any() and not (left == other).all(-1).any()


def test_weights_that_are_not_numbers_get_no_number(boxes):
  task = task_of(boxes)
  model = task.build()
  model.rpn.codes.bias.assign(tf.fill(model.rpn.codes.bias.shape, np.float32("nan")))
  with pytest.raises(NumericError, match="detector-not-finite.*boxes_test-"):
    monitor.judge(task.evaluators()[0], model)


def test_a_checkpoint_of_other_anchors_is_refused(boxes, tmp_path):
  run = train(task_of(boxes), tmp_path, 1)
  other = task_of(boxes, anchors={"base": 16.0, "scales": [0.5, 1.0]})
  with pytest.raises(StorageError, match="detector-differ.*anchors"):
    monitor.load_model(run.path / "ckpt-1", other, other.build())


def test_classes_that_coco_does_not_know_are_not_sent_to_its_server(boxes, tmp_path):
  evaluator, = task_of(boxes).evaluators()
  with pytest.raises(ConfigError, match="no COCO category ids"):
    evaluator.write_submission(tmp_path)


def test_the_draw_depends_on_the_seed_and_on_the_place_alone(boxes):
  draws = lambda seed: [b["draw"].numpy().tolist() for b in
                        task_of(boxes).train_dataset(Place(seed=seed)).take(30)]
  one, again, other = draws(1), draws(1), draws(2)
  assert one == again and len({str(d) for d in one}) == 30
  assert not {str(d) for d in one} & {str(d) for d in other}


@pytest.mark.parametrize("values,message", [
    ({"anchors": {"base": -3.0}}, "anchors.*base -3"), ({"anchors": {"aspects": []}}, "aspect"),
    ({"anchors": {"size": 3}}, "config.task.anchors.*size"),
    ({"sampling": {"rpn": -4}}, r"counts \(-4"), ({"sampling": {"rpn_positive": 1.5}}, "shares"),
    ({"proposals": 0, "sampling": {"boxes": 1}}, "proposals"),
    ({"proposals": 8}, "at least as many proposals"), ({"rpn_rate": 0}, "rpn_rate 0")])
def test_numbers_that_make_no_sense_are_refused(boxes, values, message):
  with pytest.raises(ConfigError, match=message):
    task_of(boxes, **values)


@pytest.mark.slow
def test_it_learns_a_few_pictures_by_heart(boxes, tmp_path):
  task = task_of(boxes, eval_splits=("boxes_train",), proposals=60,
                 sampling={"rpn": 64, "boxes": 32}, anchors={"base": 32.0, "scales": [0.5, 1, 2]})
  steps = 1500
  run = train(task, tmp_path, steps, schedules.Polynomial(0.02, steps, start=900))
  model, numbers = task.build(), {}
  for step in (0, steps):
    monitor.load_model(run.path / f"ckpt-{step}", task, model)
    evaluator, = task.evaluators()
    numbers[step] = monitor.judge(evaluator, model)["coco/AP50"]
  assert numbers[0] < 0.05 and numbers[steps] > 0.6


@pytest.mark.slow
def test_nine_workers_and_eleven_servers_train_together(boxes, tmp_path):
  task = task_of(boxes)
  run = train(task, tmp_path, 50, cluster=cluster_lib.start_in_process(9, 11))
  trained = weights(task, run, run.newest())
  assert run.newest() >= 50 and all(np.isfinite(v).all() for v in trained.values())
  start = weights(task, run, 0)
  assert not np.array_equal(start["rpn/conv/kernel"], trained["rpn/conv/kernel"])
