"""The pre-training task on the toy world: labels, prior, evaluation, pictures, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.data import hierarchy_readers, toy_records, toy_world
from jft_reps.errors import DataError
from jft_reps.metrics import fasteval
from jft_reps.models.variables import named_variables
from jft_reps.tasks import picture_sets, pretrain
from jft_reps.tasks.backbone import Backbone
from jft_reps.training import monitor, optimizers, run_directory, schedules, trainer

NETWORK = {"backbone": Backbone(depth=14, width=0.125, stem="small", batch_norm_momentum=0.9),
           "classifier_shards": 3, "resize": 36, "crop": 32}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
  directory = tmp_path_factory.mktemp("records")
  world = toy_world.ToyWorld(seed=3, size=40)
  world.write_hierarchy(directory / "hierarchy.csv")
  toy_records.write_records(world, directory, "train", 0, 300, 3)
  toy_records.write_records(world, directory, "fasteval", 0, 60, 1)
  return directory, world


def make(records, **values):
  directory, _ = records
  return pretrain.create(directory, hierarchy=str(directory / "hierarchy.csv"),
                         **{**NETWORK, "batch_size": 16, "eval_batch_size": 25, **values})


def test_targets_are_the_records_labels_with_their_ancestors(records):
  task = make(records)
  _, world = records
  batch = next(iter(task.train_dataset(0, 1, 0, (0, 0, 0))))
  assert batch["image"].shape == (16, 32, 32, 3) and batch["targets"].dtype == tf.uint8
  hierarchy = hierarchy_readers.read(records[0] / "hierarchy.csv", "edges")
  for i, name in enumerate(batch["id"].numpy()):
    split, index = name.decode().rsplit("-", 1)
    labels = world.picture(split, int(index)).labels
    expected = hierarchy.expand([hierarchy.ids[c] for c in labels])
    found = [hierarchy.ids[c] for c in np.flatnonzero(batch["targets"][i])]
    assert tuple(found) == expected


def test_the_classifier_starts_at_the_class_prior(records):
  task = make(records)
  _, world = records
  counts = np.zeros(len(task.labels))
  hierarchy = hierarchy_readers.read(records[0] / "hierarchy.csv", "edges")
  for i in range(300):
    labels = world.picture("train", i).labels
    counts[[hierarchy.index(a) for a in hierarchy.expand([hierarchy.ids[c] for c in labels])]] += 1
  bias = np.concatenate([p.numpy() for p in task.build().head.bias.parts])
  prior = (counts + 0.5) / 301
  np.testing.assert_allclose(bias, np.log(prior / (1 - prior)), rtol=1e-4)


def test_the_loss_sums_over_classes_and_averages_over_the_batch(records):
  task = make(records)
  model = task.build()
  batch = next(iter(task.train_dataset(0, 1, 0, (0, 0, 0))))
  loss, scalars = task.loss(model, batch)
  logits = model(batch["image"], batch_norm="train").numpy().astype(np.float64)
  expected = np.logaddexp(0, logits) - batch["targets"].numpy() * logits
  np.testing.assert_allclose(loss, expected.sum() / 16, rtol=1e-5)
  assert set(scalars) == {"loss/classification"}


def test_the_evaluator_is_fasteval_on_all_pictures(records):
  task = make(records)
  model = task.build()
  (evaluator,) = task.evaluators()
  values = monitor.judge(evaluator, model)
  images, targets = [], []
  for batch in evaluator.dataset():
    images.append(batch["image"].numpy())
    targets.append(batch["targets"].numpy())
  images, targets = np.concatenate(images), np.concatenate(targets)
  assert len(images) == 60
  scores = model(images, batch_norm="frozen").numpy()
  whole = fasteval.mean_average_precision(scores, targets)
  np.testing.assert_allclose(values["fasteval/mAP@100"], whole.value, rtol=1e-4)
  np.testing.assert_allclose(values["fasteval/macro mAP@100"], whole.macro, rtol=1e-4)
  assert {"fasteval/leaves", "fasteval/level_00", "fasteval/head"} <= set(values)


def test_an_ideal_scorer_reaches_one(records):
  (evaluator,) = make(records).evaluators()
  for batch in evaluator.dataset():
    truth = {k: v.numpy() for k, v in batch.items()}
    evaluator.update([i.decode() for i in truth["id"]], truth["targets"].astype(np.float32), truth)
  assert evaluator.result()["fasteval/mAP@100"] == pytest.approx(1.0)


def test_every_variable_is_saved_and_the_trained_ones_are_trained(records):
  task = make(records)
  model = task.build()
  items = task.checkpoint_items(model)
  assert items.keys() == named_variables(model).keys()
  assert "head/kernel" in items and "backbone/conv1/conv/kernel" in items
  untrained = set(items) - set(task.trainable(model))
  assert untrained and all("/moving_" in name for name in untrained)


def test_it_learns_more_than_label_frequencies(records, tmp_path):
  task = make(records, batch_size=32)
  options = trainer.Options(
      steps=60, optimizer=optimizers.Momentum(), log_every=20, checkpoint_every=60,
      schedule=schedules.WarmUp(schedules.PiecewiseConstant((0.05,)), 10))
  run = run_directory.RunDirectory(tmp_path)
  trainer.Trainer(task, run, options, notes=task.notes, reasons=task.reasons).train()
  losses = [m["loss/total"] for m in run.metrics()]
  assert losses[-1] < losses[0] - 1.0
  results = monitor.Monitor(task, run, say=lambda text: None).follow(0.05, 60)
  assert (tmp_path / "eval_fasteval").is_dir() and set(results) == {0, 60}


def test_pictures_for_tensorboard_show_truth_and_prediction(records):
  task = make(records)
  model = task.build()
  (evaluator,) = task.evaluators()
  batch = next(iter(evaluator.dataset()))
  (drawn,) = task.pictures(model, batch).values()
  assert drawn.dtype == np.uint8 and drawn.shape[0] == 8
  half = drawn.shape[2] // 2
  np.testing.assert_array_equal(drawn[:, 4:200, 4:200], drawn[:, 4:200, half + 4:half + 200])
  assert (drawn[:, 210:, :half] != drawn[:, 210:, half:]).any(axis=(1, 2, 3)).all()


def test_records_of_another_vocabulary_are_refused(records, tmp_path):
  other = tmp_path / "other.csv"
  lines = (records[0] / "hierarchy.csv").read_text().splitlines()
  other.write_text("\n".join([*lines, "extra,"]) + "\n")
  with pytest.raises(DataError, match="541"):
    pretrain.create(records[0], hierarchy=str(other), **NETWORK)


def test_too_many_bad_records_and_a_vanished_shard_are_said_in_the_users_words(records, tmp_path):
  from jft_reps.data import records as records_lib
  from jft_reps.data import schema

  directory = tmp_path / "bad"
  with records_lib.Writer(directory, "train", 1) as writer:
    for i in range(300):
      writer.write(f"p{i}", schema.encode(f"p{i}", b"\xff\xd8\xffno", "jpeg", 9, 9, [i % 5]))
  hierarchy = str(records[0] / "hierarchy.csv")
  task = pretrain.create(directory, hierarchy=hierarchy, eval_splits=(), batch_size=8, **NETWORK)
  options = trainer.Options(steps=5, optimizer=optimizers.Momentum(),
                            schedule=schedules.PiecewiseConstant((0.1,)))
  run = lambda name: trainer.Trainer(  # noqa: E731
      task, run_directory.RunDirectory(tmp_path / name), options, notes=task.notes,
      reasons=task.reasons).train()
  with pytest.raises(DataError, match="too-many-bad-records.*decode_error [0-9]+"):
    run("too many")
  (directory / "train-00000-of-00001.tfrecord").unlink()
  with pytest.raises(DataError, match="train-00000-of-00001.tfrecord"):
    run("vanished")


def test_the_quarantine_list_names_the_file_of_a_dropped_record(records, tmp_path):
  from jft_reps.data import records as records_lib
  from jft_reps.data import schema

  directory = tmp_path / "some bad"
  good = tf.io.encode_jpeg(tf.fill([40, 40, 3], tf.constant(90, tf.uint8))).numpy()
  with records_lib.Writer(directory, "train", 2) as writer:
    for i in range(60):
      encoded = b"\xff\xd8\xffno" if i % 20 == 5 else good
      writer.write(f"p{i}", schema.encode(f"p{i}", encoded, "jpeg", 40, 40, [i % 5]))
  task = pretrain.create(directory, hierarchy=str(records[0] / "hierarchy.csv"), eval_splits=(),
                         batch_size=8, **NETWORK)
  rows = np.concatenate([b["quarantined"] for b in task.train_dataset(0, 1, 0, (0, 0, 0)).take(8)])
  rows = rows[rows[:, 0] >= 0]
  assert len(rows) >= 3
  for text, (_, epoch, shard, record) in zip(task.describe_dropped(rows), rows.tolist()):
    file = directory / f"train-{shard:05}-of-00002.tfrecord"
    stored = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    assert b"\xff\xd8\xffno" in stored[record]
    assert text == f"decode_error, {file.name}, record {record}, epoch {epoch}"


def test_a_large_set_is_not_read_whole_to_explain_an_error(records, monkeypatch):
  task = make(records)
  error = tf.errors.DataLossError(None, None, "corrupted record at 7")
  monkeypatch.setattr(picture_sets.manifest, "diagnose", lambda record_set: DataError("d", "", ""))
  assert task.explain(error).slug == "d"
  monkeypatch.setattr(picture_sets, "_DIAGNOSED", 1)
  assert task.explain(error) is None


def test_a_resumed_pre_training_is_bit_equal_across_an_epochs_end(records, tmp_path):
  """Shuffle window, crops, mirrors and convolutions included; 300 pictures, 20 batches of 16."""
  from jft_reps.training import checkpoints

  def run(name, steps):
    task = make(records)
    options = trainer.Options(
        steps=steps, optimizer=optimizers.RMSProp(), checkpoint_every=12, log_every=10,
        schedule=schedules.PiecewiseConstant((0.01,)))
    trainer.Trainer(task, run_directory.RunDirectory(tmp_path / name), options,
                    notes=task.notes, reasons=task.reasons).train()

  run("whole", 20)
  run("parts", 12)
  run("parts", 20)
  names = list(checkpoints.shapes(tmp_path / "whole" / "ckpt-20"))
  whole, parts = (checkpoints.read(tmp_path / n / "ckpt-20", names) for n in ("whole", "parts"))
  assert whole["position"][0, 0] == 1
  for name in names:
    np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)
