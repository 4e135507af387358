"""Segmentation: what a step does to what, numbers at the stored size, and it learns."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jft_reps.data.records import label_map, schema
from jft_reps.data.records.writing import Writer
from jft_reps.errors import ConfigError, StorageError
from jft_reps.metrics.mean_iou import MeanIoU
from jft_reps.models.resnet import STAGES
from jft_reps.models.variables import named_variables
from jft_reps.ops import score_maps
from jft_reps.ops.masked_pictures import VOID
from jft_reps.task import START
from jft_reps.tasks import segment
from jft_reps.tasks.backbone import Backbone
from jft_reps.toy_world.records import write_records
from jft_reps.toy_world.world import ToyWorld
from jft_reps.training import optimizers, schedules, trainer
from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.evaluation import monitor
from jft_reps.training.run_directory.directory import RunDirectory
from tests.data import picture_files as files

SMALL = {
    "backbone": Backbone(depth=14, width=0.125, stem="small", output_stride=8,
                         batch_norm_momentum=0.9),
    "train_split": "masks_train", "eval_splits": ("masks_test",), "resize": 41, "batch_size": 4,
    "rates": (1, 2), "shuffle": 32, "batch_norm": "recalibrate", "recalibration_pictures": 16}


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
  directory = tmp_path_factory.mktemp("masks")
  world = ToyWorld(seed=3, size=40)
  write_records(world, directory, "masks_train", 0, 24, 2)
  write_records(world, directory, "masks_test", 0, 6, 1)
  return directory


def task_of(records_, **values):
  return segment.create(records_, **{**SMALL, **values})


def train(task, path, steps, cluster=None):
  options = trainer.TrainerOptions(
      steps=steps, optimizer=optimizers.Momentum(), weight_decay=5e-4, log_every=5,
      schedule=schedules.Polynomial(0.01, 200, 0.9), checkpoint_every=steps)
  run = RunDirectory(path)
  trainer.Trainer(task, run, options, notes=task.notes, reasons=task.reasons,
                  cluster=cluster).train()
  return run


def weights(task, run, step):
  model = task.build()
  monitor.load_model(run.path / f"ckpt-{step}", task, model)
  return {name: np.asarray(v) for name, v in named_variables(model).items()}


def test_the_loss_of_a_batch_is_that_of_its_subsampled_mask(masks):
  task = task_of(masks)
  model, batch = task.build(), next(iter(task.train_dataset(START)))
  loss, scalars = task.loss(model, batch)
  scores = model(batch["image"], batch_norm="frozen")
  assert scores.shape == (4, 6, 6, 32)
  np.testing.assert_allclose(loss, score_maps.loss(scores, batch["mask"], 8), rtol=1e-6)
  truth = batch["mask"].numpy()[:, ::8, ::8]
  right = (np.argmax(scores, -1) == truth).mean()
  assert abs(float(scalars["segmentation/pixel accuracy"]) - right) < 1e-6


def test_a_frozen_run_changes_conv5_and_the_branches_alone(masks, tmp_path):
  task = task_of(masks, frozen_through="conv4")
  run = train(task, tmp_path, 3)
  before, after = weights(task, run, 0), weights(task, run, 3)
  changed = {name for name in before if not np.array_equal(before[name], after[name])}
  assert not [name for name in changed if name.startswith(
      tuple(f"backbone/{stage}/" for stage in STAGES[:4]))]
  assert {f"branches/{i}/kernel" for i in (0, 1)} < changed
  assert "backbone/conv5/unit_1/conv1/kernel" in changed
  assert all(np.array_equal(before[n], after[n]) for n in before if "moving" in n)
  assert any(n for n in before if n.endswith("moving_mean") and np.abs(before[n]).sum() > 0)


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(masks, tmp_path):
  whole = train(task_of(masks), tmp_path / "whole", 4)
  train(task_of(masks), tmp_path / "parts", 2)
  parts = weights(task_of(masks), train(task_of(masks), tmp_path / "parts", 4), 4)
  for name, value in weights(task_of(masks), whole, 4).items():
    np.testing.assert_array_equal(value, parts[name], err_msg=name)


@pytest.mark.slow
def test_workers_and_servers_train_together(masks, tmp_path):
  task = task_of(masks, batch_norm="train")
  run = train(task, tmp_path, 20, cluster=cluster_lib.start_in_process(2, 2))
  before, after = weights(task, run, 0), weights(task, run, run.newest())
  assert run.newest() >= 20 and all(np.isfinite(v).all() for v in after.values())
  changed = {name for name in before if not np.array_equal(before[name], after[name])}
  # Trained batch-norm learns its scales, and keeps the statistics of its batches.
  assert {"branches/0/kernel", "backbone/conv1/norm/gamma",
          "backbone/conv1/norm/moving_mean"} <= changed


class Oracle:
  """A model that gives the truth of each picture, shifted by some pixels."""

  def __init__(self, masks_by_size, shift=0):
    self._masks, self._shift = masks_by_size, shift

  def segment(self, images, size):
    return tf.constant(np.roll(self._masks[tuple(np.asarray(size))], self._shift, 1))


def picture_records(directory, masks_, split="masks_test", names=("background", "cat", "dog")):
  with Writer(directory, split, 1) as writer:
    writer.metadata.update(label_map.metadata(label_map.write(directory, list(names))))
    writer.metadata["annotations"] = "masks"
    for i, mask in enumerate(masks_):
      writer.write(f"p{i}", schema.encode(f"p{i}", files.encoded(i, *mask.shape), "jpeg",
                                          *mask.shape, [], segmentation=files.grey_png(mask)))
  return writer.record_set


@pytest.mark.parametrize("shift", [0, 3])
def test_numbers_are_of_the_stored_pixels(tmp_path, shift):
  rng = np.random.default_rng(0)
  stored = [rng.integers(0, 3, (h, w)).astype(np.uint8) for h, w in ((30, 44), (51, 27), (33, 33))]
  for mask in stored:
    mask[:2] = VOID
  picture_records(tmp_path, stored)
  evaluator, = task_of(tmp_path, train_split=None).evaluators()
  seen = [np.where(mask == VOID, 0, mask) for mask in stored]
  model = Oracle({mask.shape: mask for mask in seen}, shift)
  predict = lambda batch: evaluator.predict(model, batch)
  numbers = monitor.judge(evaluator, model, predict=predict)
  metric = MeanIoU(("background", "cat", "dog"))
  for i, (mask, right) in enumerate(zip(stored, seen)):
    metric.update(str(i), np.roll(right, shift, 1), mask)
  expected = metric.result()
  assert numbers["segmentation/mIOU"] == expected.numbers["mIOU"]
  assert (numbers["segmentation/mIOU"] == 1.0) == (shift == 0)
  assert numbers["segmentation/IoU/cat"] == expected.per_class["cat"]["IoU"]
  assert numbers["segmentation/pixels/dog"] == expected.per_class["dog"]["predicted"]
  assert "mean over 3 of 3 classes" in evaluator.last.definition


def test_one_class_everywhere_is_said_aloud(tmp_path, caplog):
  mask = np.zeros((20, 30), np.uint8)
  mask[:5] = 1
  picture_records(tmp_path, [mask])
  evaluator, = task_of(tmp_path, train_split=None).evaluators()
  model = Oracle({mask.shape: np.zeros_like(mask)})
  with caplog.at_level(logging.WARNING, logger="absl"):
    monitor.judge(evaluator, model, predict=lambda batch: evaluator.predict(model, batch))
  assert "class background takes 100.0 % of the predictions (75.0 % of the truth)" in caplog.text


def test_masks_are_written_for_vocs_server(tmp_path):
  mask = np.random.default_rng(0).integers(0, 3, (20, 30)).astype(np.uint8)
  picture_records(tmp_path, [mask])
  evaluator, = task_of(tmp_path, train_split=None).evaluators()
  evaluator.submits = True
  model = Oracle({mask.shape: mask})
  monitor.judge(evaluator, model, predict=lambda batch: evaluator.predict(model, batch))
  folder = evaluator.write_submission(tmp_path / "sent")
  file = tmp_path / "sent/masks_test/results/VOC2012/Segmentation/comp6_test_cls/p0.png"
  assert str(file.parent) == folder
  with Image.open(file) as image:
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), mask)


def test_pictures_show_truth_and_prediction(masks):
  task = task_of(masks)
  batch = next(iter(task.evaluators()[0].dataset()))
  mask = batch["mask"][0].numpy()
  shown = task.pictures(Oracle({mask.shape: mask}), batch)["masks"]
  assert shown.shape == (1, 480, 966, 3) and shown.dtype == np.uint8
  np.testing.assert_array_equal(shown[0, :, :480], shown[0, :, 486:])
  turned = task.pictures(Oracle({mask.shape: np.zeros_like(mask)}), batch)["masks"]
  np.testing.assert_array_equal(turned[0, :, :480], shown[0, :, :480])
  assert (turned[0, :, 486:] != shown[0, :, 486:]).mean() > 0.02


def test_it_learns_its_training_pictures(masks, tmp_path):
  task = task_of(masks, eval_splits=("masks_train",))
  run = train(task, tmp_path, 150)
  first, last = (monitor.judge(task.evaluators()[0], loaded(task, run, step))["segmentation/mIOU"]
                 for step in (0, 150))
  assert first < 0.05 and last > 0.2, (first, last)


def loaded(task, run, step):
  model = task.build()
  monitor.load_model(run.path / f"ckpt-{step}", task, model)
  return model


def test_a_checkpoint_of_other_rates_is_refused(masks, tmp_path):
  run = train(task_of(masks), tmp_path, 1)
  other = task_of(masks, rates=(2, 3))
  with pytest.raises(StorageError, match="aspp-differ.*rates"):
    monitor.load_model(run.path / "ckpt-1", other, other.build())


@pytest.mark.parametrize("values,named", [
    ({"batch_norm": "none"}, "config.task.batch_norm"), ({"rates": ()}, "config.task.rates"),
    ({"rates": (0, 1)}, "config.task.rates"), ({"frozen_through": "conv6"}, "frozen_through"),
    ({"resize": None}, "segmentation-pictures"), ({"batch_size": 0}, "bad-batch-size"),
    ({"backbone": Backbone(depth=14, output_stride=32)}, "output_stride: 32; expected 8")])
def test_values_that_mean_nothing_are_refused(masks, values, named):
  with pytest.raises(ConfigError, match=named):
    task_of(masks, **values).train_dataset(START)


def test_one_class_is_no_segmentation(tmp_path):
  picture_records(tmp_path, [np.zeros((20, 30), np.uint8)], names=("background",))
  with pytest.raises(ConfigError, match="1 classes; expected 2 to 255"):
    task_of(tmp_path, train_split=None)
