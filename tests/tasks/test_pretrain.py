"""The pre-training task on the toy world: labels, prior, evaluation, pictures, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.data.hierarchy import readers
from jft_reps.data.reading.label_expansion import LabelExpansion
from jft_reps.errors import ConfigError, DataError
from jft_reps.metrics import fasteval
from jft_reps.models.variables import named_variables
from jft_reps.task import START, Place
from jft_reps.tasks import pretrain
from jft_reps.tasks.backbone import Backbone
from jft_reps.tasks.inputs import pictures, record_sets
from jft_reps.toy_world.records import write_records
from jft_reps.toy_world.world import ToyWorld
from jft_reps.training import optimizers, schedules, trainer
from jft_reps.training.evaluation import monitor
from jft_reps.training.run_directory.directory import RunDirectory

NETWORK = {"backbone": Backbone(depth=14, width=0.125, stem="small", batch_norm_momentum=0.9),
           "classifier_shards": 3, "resize": 36, "crop": 32}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
  directory = tmp_path_factory.mktemp("records")
  world = ToyWorld(seed=3, size=40)
  world.write_hierarchy(directory / "hierarchy.csv")
  write_records(world, directory, "train", 0, 300, 3)
  write_records(world, directory, "fasteval", 0, 60, 1)
  return directory, world


def make(records, **values):
  directory, _ = records
  return pretrain.create(directory, hierarchy=str(directory / "hierarchy.csv"),
                         **{**NETWORK, "batch_size": 16, "eval_batch_size": 25, **values})


def test_targets_are_the_records_labels_with_their_ancestors(records):
  task = make(records)
  _, world = records
  batch = next(iter(task.train_dataset(START)))
  assert batch["image"].shape == (16, 32, 32, 3) and batch["targets"].dtype == tf.uint8
  hierarchy = readers.read(records[0] / "hierarchy.csv", "edges")
  for i, name in enumerate(batch["id"].numpy()):
    split, index = name.decode().rsplit("-", 1)
    labels = world.picture(split, int(index)).labels
    expected = hierarchy.expand([hierarchy.ids[c] for c in labels])
    found = [hierarchy.ids[c] for c in np.flatnonzero(batch["targets"][i])]
    assert tuple(found) == expected


def _run(task, directory, steps=1, **values):
  run = RunDirectory(directory)
  options = trainer.TrainerOptions(steps=steps, optimizer=optimizers.Momentum(),
                            schedule=schedules.PiecewiseConstant((0.0,)), **values)
  trainer.Trainer(task, run, options, notes=task.notes, reasons=task.reasons).train()
  return run


def test_a_run_starts_at_the_class_prior(records, tmp_path):
  from jft_reps.training.run_directory import checkpoints

  task = make(records)
  _, world = records
  counts = np.zeros(len(task.labels))
  hierarchy = readers.read(records[0] / "hierarchy.csv", "edges")
  for i in range(300):
    labels = world.picture("train", i).labels
    counts[[hierarchy.index(a) for a in hierarchy.expand([hierarchy.ids[c] for c in labels])]] += 1
  prior = (counts + 0.5) / 301
  _run(task, tmp_path)
  bias = checkpoints.read(tmp_path / "ckpt-0", ["head/bias"])["head/bias"]
  np.testing.assert_allclose(bias, np.log(prior / (1 - prior)), rtol=1e-4)


def test_the_prior_reaches_every_replica_and_shard(records, tmp_path):
  from jft_reps.training.run_directory import checkpoints

  strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
  with strategy.scope():
    task = make(records)
    model = task.build()
  said = task.prepare(model)
  expected = np.log(task.prior() / (1 - task.prior()))
  for replica in range(2):
    bias = [strategy.experimental_local_results(p)[replica] for p in model.head.bias.parts]
    np.testing.assert_allclose(np.concatenate([b.numpy() for b in bias]), expected, rtol=1e-5)
  assert f"{expected.size} classes" in said
  number = make(records, prior=0.25)
  _run(number, tmp_path)
  bias = checkpoints.read(tmp_path / "ckpt-0", ["head/bias"])["head/bias"]
  np.testing.assert_allclose(bias, np.log(1 / 3), rtol=1e-5)


def test_a_model_that_is_about_to_be_restored_counts_no_records(records, tmp_path, monkeypatch):
  _run(make(records), tmp_path)
  monkeypatch.setattr(pictures.PictureSets, "target_counts", lambda *_: pytest.fail("counted"))
  make(records).build()
  _run(make(records), tmp_path, steps=2)


def test_one_bad_record_costs_itself_and_not_the_run(records, tmp_path):
  from jft_reps.data.records import schema
  from jft_reps.data.records.writing import Writer
  from jft_reps.training.run_directory import checkpoints

  good = tf.io.encode_jpeg(tf.fill([40, 40, 3], tf.constant(90, tf.uint8))).numpy()
  with Writer(tmp_path, "train", 1) as writer:
    for i in range(60):
      writer.write(f"p{i}", schema.encode(f"p{i}", good, "jpeg", 40, 40, [i % 5]))
    writer.write("malformed", b"\xff\xfe not an Example \x80")
    writer.write("negative", schema.encode("negative", good, "jpeg", 40, 40, [-5]))
  task = pretrain.create(tmp_path, hierarchy=str(records[0] / "hierarchy.csv"), eval_splits=(),
                         batch_size=8, **NETWORK)
  _run(task, tmp_path / "run", steps=16)
  dropped = checkpoints.read(tmp_path / "run" / "ckpt-16", ["dropped"])["dropped"]
  named = {n: c for n, c in zip(task.reasons, dropped.tolist()) if c}
  assert named["label_out_of_range"] >= 1 and len(named) == 2
  hierarchy = readers.read(records[0] / "hierarchy.csv", "edges")
  counts = np.zeros(len(task.labels))
  for label in hierarchy.ids[:5]:
    counts[[hierarchy.index(a) for a in hierarchy.expand([label])]] += 12
  np.testing.assert_allclose(task.prior(), (counts + 0.5) / 61)


def _with_unknown(directory, hierarchy, unknown, absent=None, **values):
  """A task whose single record is a picture of class 3 with such ids, and its batch."""
  from jft_reps.data.records import schema
  from jft_reps.data.records.writing import Writer

  picture = tf.io.encode_jpeg(tf.fill([40, 40, 3], tf.constant(90, tf.uint8))).numpy()
  with Writer(directory, "train", 1) as writer:
    writer.write("p", schema.encode("p", picture, "jpeg", 40, 40, [3], unknown=unknown,
                                    absent=absent))
  task = pretrain.create(
      directory, hierarchy=str(hierarchy), eval_splits=(), prior=0.5,
      **{**NETWORK, "classifier_shards": 2, "batch_size": 2, **values})
  return task, next(iter(task.train_dataset(START)))


def _loss_and_gradient(task, batch, logits):
  """The loss where a bias of `logits` is all the network says, and its gradient."""
  model = task.build()
  for part in model.head.kernel.parts:
    part.assign(tf.zeros_like(part))
  parts = model.head.bias.parts
  for part, values in zip(parts, np.split(logits, 2)):
    part.assign(values)
  with tf.GradientTape() as tape:
    loss, _ = task.loss(model, batch)
  return loss.numpy(), np.concatenate([g.numpy() for g in tape.gradient(loss, parts)])


def test_unverified_labels_have_neither_loss_nor_gradient(tmp_path):
  #      a(0) -> d(1) -> p(2); a -> c(3); b(4) -> e(5)
  (tmp_path / "h.csv").write_text("child,parent\na,\nd,a\np,d\nc,a\nb,\ne,b\n")
  task, batch = _with_unknown(tmp_path, tmp_path / "h.csv", [4], [1], negatives="verified")
  # Positive: c and its ancestor a. Negative: d, and p below it. Nobody looked for b and e.
  logits = np.array([0.5, 9.0, -7.0, 1.0, -2.0, 0.25])
  loss, gradient = _loss_and_gradient(task, batch, logits)
  signs = np.array([-1, 1, 1, -1, 0, 0])
  np.testing.assert_allclose(
      loss, np.logaddexp(0, signs * logits)[signs != 0].sum(), rtol=1e-5)
  np.testing.assert_allclose(gradient, signs / (1 + np.exp(-signs * logits)), rtol=1e-5, atol=1e-8)
  assert not gradient[4:].any()


def test_the_prior_of_verified_labels_is_that_of_the_verified(tmp_path):
  from jft_reps.data.records import schema
  from jft_reps.data.records.writing import Writer

  picture = tf.io.encode_jpeg(tf.fill([40, 40, 3], tf.constant(90, tf.uint8))).numpy()
  (tmp_path / "h.csv").write_text("child,parent\na,\nd,a\np,d\nc,a\nb,\ne,b\n")
  with Writer(tmp_path, "train", 1) as writer:
    for i in range(10):  # a dog in four; none in three, where somebody looked
      labels, absent = ([1], None) if i < 4 else ([3], [1] if i < 7 else [])
      writer.write(f"p{i}", schema.encode(
          f"p{i}", picture, "jpeg", 40, 40, labels, absent=absent))
  made = lambda **more: pretrain.create(
      tmp_path, hierarchy=str(tmp_path / "h.csv"), eval_splits=(), **{**NETWORK, **more})
  np.testing.assert_allclose(
      made(negatives="verified").prior(),
      [10.5 / 11, 4.5 / 8, 0.5 / 4, 6.5 / 7, 0.5, 0.5])
  np.testing.assert_allclose(made().prior(), (np.array([10, 4, 0, 6, 0, 0]) + 0.5) / 11)
  with pytest.raises(ConfigError, match="negatives"):
    made(negatives="none")


def test_verified_negatives_need_records_that_have_some(records):
  with pytest.raises(DataError, match="no-verified-absences.*negatives=all"):
    make(records, negatives="verified").prior()


def test_noise_is_that_of_the_picture_in_every_epoch_and_on_every_worker(records):
  task = make(records, noise={"wrong": 0.3, "missing": 0.1, "seed": 1})
  hierarchy = readers.read(records[0] / "hierarchy.csv", "edges")
  clean = LabelExpansion(len(task.labels), hierarchy.closure())
  found, again, touched = {}, 0, 0
  for worker, seed, position in ((0, 0, (0, 0, 0)), (1, 5, (7, 1, 3))):
    for batch in task.train_dataset(Place(worker, 2, seed, position)).take(10):
      touched += np.any(batch["targets"] != tf.cast(clean(batch["labels"]), tf.uint8), axis=1).sum()
      for name, targets in zip(batch["id"].numpy(), batch["targets"].numpy()):
        again += name in found
        np.testing.assert_array_equal(found.setdefault(name, targets), targets)
  assert again > 20 and touched > 60
  (evaluator,) = task.evaluators()
  for batch in evaluator.dataset():
    np.testing.assert_array_equal(batch["targets"], clean(batch["labels"]))


@pytest.fixture
def reduced(records, tmp_path):
  """The whole task, one of 30 classes, and their places in the whole."""
  whole = make(records)
  chosen = np.random.default_rng(0).permutation(len(whole.labels))[:30]
  ids = [whole.labels[c] for c in chosen]
  (tmp_path / "classes.txt").write_text("\n".join(ids) + "\n")
  (tmp_path / "eval.txt").write_text("\n".join([*whole.labels[:200]]) + "\n")
  (tmp_path / "weights.csv").write_text(
      "".join(f"{label},{i % 7 + 1}\n" for i, label in enumerate(whole.labels)))
  task = make(records, classes=str(tmp_path / "classes.txt"),
              eval_classes=str(tmp_path / "eval.txt"), class_weights=str(tmp_path / "weights.csv"))
  return whole, task, chosen


def test_a_reduced_vocabulary_learns_the_same_targets_of_fewer_classes(reduced):
  whole, task, chosen = reduced
  assert list(task.labels) == [whole.labels[c] for c in chosen] == task.notes["labels"]
  batches = [next(iter(t.train_dataset(START))) for t in (whole, task)]
  np.testing.assert_array_equal(batches[1]["id"], batches[0]["id"])
  np.testing.assert_array_equal(batches[1]["targets"], batches[0]["targets"].numpy()[:, chosen])
  assert batches[1]["targets"].numpy().any()
  np.testing.assert_allclose(task.prior(), whole.prior()[chosen])
  model = task.build()
  loss, _ = task.loss(model, batches[1])
  assert np.isfinite(loss) and sum(p.shape[1] for p in model.head.kernel.parts) == 30


def test_a_reduced_vocabulary_is_what_fasteval_and_tensorboard_show(reduced, monkeypatch):
  whole, task, chosen = reduced
  model = task.build()
  ((evaluator,), (other,)) = task.evaluators(), whole.evaluators()
  targets = np.concatenate([b["targets"] for b in other.dataset()])[:, chosen]
  images = np.concatenate([b["image"] for b in evaluator.dataset()])
  values = monitor.judge(evaluator, model)
  expected = fasteval.mean_average_precision(
      model(images, batch_norm="frozen").numpy(), targets, class_weights=chosen % 7 + 1.0,
      classes=np.flatnonzero(chosen < 200))
  np.testing.assert_allclose(values["fasteval/mAP@100"], expected.value, rtol=1e-4)
  np.testing.assert_allclose(values["fasteval/macro mAP@100"], expected.macro, rtol=1e-4)
  drawn = []
  monkeypatch.setattr(pretrain.labels, "panels", lambda *parts: drawn.append(parts))
  task.pictures(model, next(iter(evaluator.dataset())))
  ((_, truth, best),) = drawn
  hierarchy = readers.read(whole._sets.records / "hierarchy.csv", "edges")
  for names, row in zip(truth, targets):
    assert sorted(names) == sorted(hierarchy.name(task.labels[c]) for c in np.flatnonzero(row))
  known = {hierarchy.name(label) for label in task.labels}
  assert all(name in known for row in best for name, _ in row)


def test_a_class_that_is_none_is_refused(records, tmp_path):
  (tmp_path / "classes.txt").write_text("no such class\n")
  with pytest.raises(DataError, match="classes.txt:1: no such class"):
    make(records, classes=str(tmp_path / "classes.txt"))


@pytest.mark.parametrize("reduction, scale", [("sum_classes", 1.0), ("mean", 1 / 4)])
def test_unknown_labels_of_a_record_have_neither_loss_nor_gradient(tmp_path, reduction, scale):
  #      a(0) -> d(1) -> p(2); a -> c(3); b(4) -> e(5)
  (tmp_path / "h.csv").write_text("child,parent\na,\nd,a\np,d\nc,a\nb,\ne,b\n")
  task, batch = _with_unknown(tmp_path, tmp_path / "h.csv", [1, 0, 3], reduction=reduction)
  # Unknown is what lies below d and a, but not the label c and its ancestor a.
  np.testing.assert_array_equal(batch["targets"], [[1, 0, 0, 1, 0, 0]] * 2)
  logits = np.array([0.5, 9.0, -7.0, 1.0, -2.0, 0.25])
  loss, gradient = _loss_and_gradient(task, batch, logits)
  softplus = lambda x: np.log1p(np.exp(x))
  closed_form = softplus(-0.5) + softplus(-1.0) + softplus(-2.0) + softplus(0.25)
  np.testing.assert_allclose(loss, scale * closed_form, rtol=1e-5)
  expected = 1 / (1 + np.exp(-logits)) - [1, 0, 0, 1, 0, 0]
  expected[1:3] = 0
  np.testing.assert_allclose(gradient, scale * expected, rtol=1e-5, atol=1e-8)


def test_without_unknown_labels_all_others_are_negative(tmp_path):
  (tmp_path / "h.csv").write_text("child,parent\na,\nd,a\np,d\nc,a\nb,\ne,b\n")
  task, batch = _with_unknown(tmp_path, tmp_path / "h.csv", None)
  loss, _ = _loss_and_gradient(task, batch, np.zeros(6))
  np.testing.assert_allclose(loss, 6 * np.log(2), rtol=1e-5)


def test_the_loss_sums_over_classes_and_averages_over_the_batch(records):
  task = make(records)
  model = task.build()
  batch = next(iter(task.train_dataset(START)))
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
  assert "leaves: plain mean of AP over the classes with none below" in evaluator.last.definition


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


@pytest.mark.slow
def test_it_learns_more_than_label_frequencies(records, tmp_path):
  task = make(records, batch_size=32)
  options = trainer.TrainerOptions(
      steps=60, optimizer=optimizers.Momentum(), log_every=20, checkpoint_every=60,
      schedule=schedules.WarmUp(schedules.PiecewiseConstant((0.05,)), 10))
  run = RunDirectory(tmp_path)
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
  from jft_reps.data.records import schema
  from jft_reps.data.records.writing import Writer

  directory = tmp_path / "bad"
  with Writer(directory, "train", 1) as writer:
    for i in range(300):
      writer.write(f"p{i}", schema.encode(f"p{i}", b"\xff\xd8\xffno", "jpeg", 9, 9, [i % 5]))
  hierarchy = str(records[0] / "hierarchy.csv")
  task = pretrain.create(directory, hierarchy=hierarchy, eval_splits=(), batch_size=8, **NETWORK)
  options = trainer.TrainerOptions(steps=5, optimizer=optimizers.Momentum(),
                            schedule=schedules.PiecewiseConstant((0.1,)))
  run = lambda name: trainer.Trainer(
      task, RunDirectory(tmp_path / name), options, notes=task.notes,
      reasons=task.reasons).train()
  with pytest.raises(DataError, match="too-many-bad-records.*decode_error [0-9]+"):
    run("too many")
  (directory / "train-00000-of-00001.tfrecord").unlink()
  with pytest.raises(DataError, match="train-00000-of-00001.tfrecord"):
    run("vanished")


def test_the_quarantine_list_names_the_file_of_a_dropped_record(records, tmp_path):
  from jft_reps.data.records import schema
  from jft_reps.data.records.writing import Writer

  directory = tmp_path / "some bad"
  good = tf.io.encode_jpeg(tf.fill([40, 40, 3], tf.constant(90, tf.uint8))).numpy()
  with Writer(directory, "train", 2) as writer:
    for i in range(60):
      encoded = b"\xff\xd8\xffno" if i % 20 == 5 else good
      writer.write(f"p{i}", schema.encode(f"p{i}", encoded, "jpeg", 40, 40, [i % 5]))
  task = pretrain.create(directory, hierarchy=str(records[0] / "hierarchy.csv"), eval_splits=(),
                         batch_size=8, **NETWORK)
  rows = np.concatenate([b["quarantined"] for b in task.train_dataset(START).take(8)])
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
  monkeypatch.setattr(record_sets.manifest, "diagnose", lambda record_set: DataError("d", "", ""))
  assert task.explain(error).slug == "d"
  monkeypatch.setattr(record_sets, "_DIAGNOSED", 1)
  assert task.explain(error) is None


def test_a_bad_evaluation_set_is_said_with_its_split_and_files(records, tmp_path):
  from jft_reps.data.records import schema
  from jft_reps.data.records.writing import Writer

  with Writer(tmp_path, "dense", 1) as writer:
    for i in range(24):
      writer.write(f"p{i}", schema.encode(f"p{i}", b"\xff\xd8\xffno", "jpeg", 9, 9, [i % 5]))
  task = pretrain.create(tmp_path, train_split=None, eval_splits=("dense",),
                         hierarchy=str(records[0] / "hierarchy.csv"), **NETWORK)
  (evaluator,), model = task.evaluators(), task.build()
  with pytest.raises(DataError, match=(
      r"too-many-bad-records.*split dense: left out 24 of 24 \(decode_error 24\).*"
      "dense-00000-of-00001.tfrecord")):
    monitor.judge(evaluator, model, task=task)
  (tmp_path / "dense-00000-of-00001.tfrecord").unlink()
  with pytest.raises(DataError, match="missing-shards.*dense-00000-of-00001.tfrecord"):
    monitor.judge(evaluator, model, task=task)


def scores_and_targets(evaluator, model):
  batches = [(model(b["image"], batch_norm="frozen").numpy(), b["targets"].numpy())
             for b in evaluator.dataset()]
  return (np.concatenate(parts) for parts in zip(*batches))


def test_fasteval_takes_the_classes_of_a_file_and_its_arguments(records, tmp_path):
  everything = make(records)
  some = everything.labels[40:7:-3]
  path = tmp_path / "evaluated.txt"
  path.write_text("\n".join(some) + "\n")
  task = make(records, k=5, restrict="after", reading="picture", eval_classes=str(path))
  assert task.best == "fasteval/mAP@5"
  model, (evaluator,) = task.build(), task.evaluators()
  values = monitor.judge(evaluator, model, task=task)
  scores, targets = scores_and_targets(evaluator, model)
  whole = fasteval.mean_average_precision(
      scores, targets, k=5, classes=[task.labels.index(c) for c in some], restrict="after",
      reading="picture")
  assert values["fasteval/mAP@5"] == pytest.approx(whole.value, rel=1e-4)
  assert values["fasteval/classes"] + values["fasteval/undefined"] == len(some)
  path.write_text(f"{some[0]}\nno-such-class\n")
  with pytest.raises(DataError, match="evaluated.txt:2: no-such-class; expected an id of the"):
    make(records, eval_classes=str(path))
  with pytest.raises(ConfigError, match="restrict"):
    make(records, restrict="during")


def test_pictures_with_more_labels_than_stated_are_left_out_of_evaluation_and_said(records):
  _, world = records
  counts = [len(world.picture("fasteval", i).labels) for i in range(60)]
  most = sorted(counts)[30]
  lost = sum(c > most for c in counts)
  assert 0 < lost <= 30
  task, said = make(records, eval_max_labels=most), []
  (evaluator,) = task.evaluators()
  values = monitor.judge(evaluator, task.build(), task=task, say=said.append)
  assert values["data/dropped"] == lost
  assert said == [f"fasteval: left out {lost} of 60 records: too_many_labels {lost}"]
  assert evaluator.last.definition.endswith(
      f"; left out in reading: {lost} of 60 records (too_many_labels {lost})")


@pytest.mark.slow
def test_a_resumed_pre_training_is_bit_equal_across_an_epochs_end(records, tmp_path):
  """Shuffle window, crops, mirrors and convolutions included; 300 pictures, 20 batches of 16."""
  from jft_reps.training.run_directory import checkpoints

  def run(name, steps):
    task = make(records)
    options = trainer.TrainerOptions(
        steps=steps, optimizer=optimizers.RMSProp(), checkpoint_every=12, log_every=10,
        schedule=schedules.PiecewiseConstant((0.01,)))
    trainer.Trainer(task, RunDirectory(tmp_path / name), options,
                    notes=task.notes, reasons=task.reasons).train()

  run("whole", 20)
  run("parts", 12)
  run("parts", 20)
  names = list(checkpoints.shapes(tmp_path / "whole" / "ckpt-20"))
  whole, parts = (checkpoints.read(tmp_path / n / "ckpt-20", names) for n in ("whole", "parts"))
  assert whole["position"][0, 0] == 1
  for name in names:
    np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)


def test_moving_averages_start_at_the_prior_too(records, tmp_path):
  from jft_reps.training.run_directory import checkpoints

  task = make(records)
  options = trainer.TrainerOptions(
      steps=1, optimizer=optimizers.Momentum(), ema_decay=0.9, log_every=1, checkpoint_every=1,
      schedule=schedules.PiecewiseConstant((0.1,)))
  trainer.Trainer(task, RunDirectory(tmp_path), options, notes=task.notes,
                  reasons=task.reasons).train()
  first = checkpoints.read(tmp_path / "ckpt-0", ["head/bias", "ema/head/bias"])
  assert np.ptp(first["head/bias"]) > 1
  np.testing.assert_array_equal(first["head/bias"], first["ema/head/bias"])
