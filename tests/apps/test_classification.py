"""Classification through the programs: fine-tune from a run of ours, probe, evaluate, export."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.apps import command_line, evaluate, probe, train
from jft_reps.errors import StorageError
from jft_reps.training.run_directory import checkpoints
from jft_reps.workflows import evaluation, exporting, weights
from jft_reps.workflows.study import judges
from tests.apps.tiny_run import arguments as pretraining

pytestmark = pytest.mark.slow
CONFIG = "experiments/table1_imagenet.py"
_SMALL = (
    "task.resize=20", "task.crop=16", "task.batch_size=8", "task.eval_batch_size=12",
    "task.shuffle=64", "toy_world.size=32", "toy_world.splits.single_train=64,2",
    "toy_world.splits.single_dev=24,1", "toy_world.splits.single_test=24,1",
    "toy_world.processes=1", "train.steps=2", "train.checkpoint_every=2", "probe.shots=1,2",
    "probe.seeds=2")


def arguments(row, workdir, records, *more):
  return ["program", f"--config={CONFIG}:{row},laptop", f"--workdir={workdir}",
          f"--config.task.records={records}", *(f"--config.{value}" for value in _SMALL), *more]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, root):
  """A pre-training of two pushes, and a classification fine-tuned from it for two."""
  folder = tmp_path_factory.mktemp("runs")
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(root)
    patch.delenv("TF_CONFIG", raising=False)
    patch.setattr(command_line, "log_tensorflow_to", lambda path: None)
    assert train.main(pretraining(folder / "pretrain")) == 0
    assert train.main(arguments("300M", folder / "tuned", folder / "records",
                                f"--config.init.checkpoint={folder / 'pretrain'}")) == 0
  return folder


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch, root):
  monkeypatch.chdir(root)


def backbone(path):
  names = [n for n in checkpoints.shapes(path) if n.startswith("backbone/")]
  return checkpoints.read(path, names)


def test_fine_tuning_starts_from_the_whole_backbone_and_evaluates(runs, capsys):
  report = json.loads((runs / "tuned" / "init_report.json").read_text())
  assert report["share"] == 1.0 and report["new"] == ["head/kernel", "head/bias"]
  start, source = backbone(runs / "tuned" / "ckpt-0"), backbone(runs / "pretrain" / "ckpt-2")
  assert start.keys() == source.keys()
  for name, value in source.items():
    np.testing.assert_array_equal(start[name], value)
  assert evaluate.main(arguments("300M", runs / "tuned", runs / "records")) == 0
  values = json.loads(capsys.readouterr().out)
  assert 0 <= values["classification/top1"] <= values["classification/top5"] <= 1
  assert values["single_test: classification/pictures"] == 24


def test_one_judge_of_several_checkpoints_says_what_each_has_alone(runs):
  config = command_line.resolve(
      arguments("300M", runs / "tuned", runs / "records"), train.FLAGS, "").config
  judge, found = judges.Judge(config), {}
  for step in (2, 0, 2):
    path = checkpoints.prefix(runs / "tuned", step)
    alone = evaluation.evaluate(config, checkpoint=str(path))
    together = [judge(path, split).numbers for split in range(len(config.task.eval_splits))]
    assert together[0].items() <= alone.items()
    assert {f"single_test: {name}": value for name, value in together[1].items()}.items() <= (
        alone.items())
    assert found.setdefault(step, together) == together


def test_a_probe_leaves_the_backbone_and_is_evaluated_and_refused_twice(runs, tmp_path, capsys):
  workdir = tmp_path / "probe"
  more = [f"--config.init.checkpoint={runs / 'pretrain'}"]
  assert probe.main(arguments("frozen", workdir, runs / "records", *more)) == 0
  printed = capsys.readouterr().out
  assert "batch-norm: frozen" in printed and "2-shot top1" in printed
  start, source = backbone(workdir / "ckpt-0"), backbone(runs / "pretrain" / "ckpt-2")
  for name, value in source.items():
    np.testing.assert_array_equal(start[name], value)
  stored = json.loads((workdir / "probe.json").read_text())["values"]
  assert evaluate.main(arguments("frozen", workdir, runs / "records")) == 0
  values = json.loads(capsys.readouterr().out)
  for name, value in stored.items():
    assert values[name] == pytest.approx(value, abs=0.05), name  # float32 ties of tiny pictures
  with pytest.raises(StorageError, match="workdir-has-run"):
    probe.main(arguments("frozen", workdir, runs / "records", *more))


def test_the_exported_classifier_answers_as_the_checkpoint_does(runs, tmp_path):
  config = command_line.resolve(
      arguments("300M", runs / "tuned", runs / "records"), evaluate.FLAGS, "").config
  exporting.export(config, tmp_path / "model")
  served = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
  from jft_reps.training.evaluation import monitor
  from jft_reps.workflows import compose

  task = compose.task(config, weights.open_source(runs / "tuned"))
  model = task.build()
  monitor.load_model(runs / "tuned" / "ckpt-2", task, model)
  batch = next(iter(task.evaluators()[0].dataset()))
  spec = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
          "image/source_id": tf.io.FixedLenFeature([], tf.string)}
  paths = sorted(str(p) for p in (runs / "records").glob("single_dev-*.tfrecord"))
  parsed = [tf.io.parse_single_example(r, spec) for r in tf.data.TFRecordDataset(paths)]
  encoded = {p["image/source_id"].numpy(): p["image/encoded"] for p in parsed}
  out = served(image_bytes=tf.stack([encoded[i] for i in batch["id"].numpy()]))
  predict = tf.function(lambda images: model(images, batch_norm="frozen"))
  logits = predict(batch["image"]).numpy()
  np.testing.assert_allclose(out["logits"], logits, atol=1e-5, rtol=1e-5)
  exponents = np.exp(logits - logits.max(1, keepdims=True))
  best = (exponents / exponents.sum(1, keepdims=True)).max(1)
  np.testing.assert_allclose(out["scores"][:, 0], best, rtol=1e-4)
  names = [task.labels[c].encode() for c in logits.argmax(1)]
  assert out["labels"].numpy()[:, 0].tolist() == names
