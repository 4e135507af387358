"""The exported model answers on encoded pictures as the checkpoint does in evaluation."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.apps import command_line, export, train
from jft_reps.data.records import manifest, schema
from jft_reps.errors import ConfigError, StorageError
from jft_reps.training.evaluation import monitor
from jft_reps.training.run_directory import checkpoints, directory
from jft_reps.workflows import compose, exporting
from tests.apps.tiny_run import arguments

AVERAGED = "--config.train.ema_decay=0.5"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch, root):
  monkeypatch.chdir(root)


@pytest.fixture(scope="module")
def run(tmp_path_factory, root):
  """A directory after two pushes, with moving averages."""
  workdir = tmp_path_factory.mktemp("run")
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(root)
    patch.delenv("TF_CONFIG", raising=False)
    patch.setattr(command_line, "log_tensorflow_to", lambda path: None)
    assert train.main(arguments(workdir, AVERAGED)) == 0
  return workdir


def resolved(workdir, *more):
  return command_line.resolve(arguments(workdir, *more), export.FLAGS, "").config


def evaluated(run, step: int, average: bool) -> dict[bytes, np.ndarray]:
  """Logits of the evaluation set by picture id, through the evaluator."""
  task = compose.task(resolved(run))
  model, (evaluator,) = task.build(), task.evaluators()
  monitor.load_model(checkpoints.prefix(run, step), task, model, average)
  predict = tf.function(lambda batch: evaluator.predict(model, batch), reduce_retracing=True)
  found = {}
  for batch in evaluator.dataset():
    found |= dict(zip(batch["id"].numpy(), predict(batch).numpy()))
  return found


def encoded_pictures(run) -> dict[bytes, bytes]:
  """The encoded pictures of the evaluation set by id, from its records."""
  records = manifest.load(run / "records", "fasteval")
  found = {}
  for shard in records.shards:
    for record in tf.data.TFRecordDataset(str(run / "records" / shard.file)):
      features = tf.train.Example.FromString(record.numpy()).features.feature
      found[features[schema.SOURCE_ID].bytes_list.value[0]] = (
          features[schema.ENCODED].bytes_list.value[0])
  return found


@pytest.mark.parametrize("step,average", [(2, False), (2, True), (0, False)])
def test_encoded_pictures_get_the_logits_of_the_evaluator(run, tmp_path, capsys, step, average):
  output = tmp_path / "model"
  more = ["--average"] if average else []
  assert export.main(arguments(
      run, f"--output={output}", f"--checkpoint={run}/ckpt-{step}", "--top=3", *more)) == 0
  assert capsys.readouterr().out == f"jft_reps: exported to {output}\n"
  model = tf.saved_model.load(str(output)).signatures["serving_default"]
  pictures, wanted = encoded_pictures(run), evaluated(run, step, average)
  assert len(pictures) == 24 and pictures.keys() == wanted.keys()
  ids = list(pictures)
  answer = model(image_bytes=tf.constant([pictures[i] for i in ids]))
  logits = np.stack([wanted[i] for i in ids])
  np.testing.assert_allclose(answer["logits"], logits, atol=1e-5)
  alone = model(image_bytes=tf.constant([pictures[ids[5]]]))
  np.testing.assert_allclose(alone["logits"], logits[5:6], atol=1e-5)
  ranked = -np.sort(-answer["logits"].numpy(), axis=1)[:, :3]
  np.testing.assert_allclose(answer["scores"], 1 / (1 + np.exp(-ranked)), rtol=1e-5)
  labels = compose.task(resolved(run)).labels
  best = answer["labels"].numpy()
  assert best.shape == (24, 3)
  for row, name in zip(answer["logits"].numpy(), best[:, 0]):
    assert row[labels.index(name.decode())] == row.max()


def test_the_checkpoints_of_a_run_and_its_averages_answer_differently(run):
  kinds = [evaluated(run, *which) for which in ((2, False), (2, True), (0, False))]
  first = [np.stack(list(kind.values())) for kind in kinds]
  for i, j in ((0, 1), (0, 2), (1, 2)):
    assert np.abs(first[i] - first[j]).max() > 1e-3


def test_the_export_says_where_it_comes_from_and_what_it_does(run, tmp_path):
  config = resolved(run)
  path = exporting.export(config, str(tmp_path / "deep" / "er"), average=True)
  read = lambda name: json.loads((path / "assets" / f"{name}.json").read_text())
  task, origin = compose.task(config), read("source")
  assert (path / "assets" / "labels.txt").read_text().splitlines() == list(task.labels)
  stored = checkpoints.read(run / "ckpt-2", ["network", "preprocessing"])
  assert read("network") == json.loads(stored["network"])
  assert read("preprocessing") == json.loads(stored["preprocessing"])
  assert (origin["checkpoint"], origin["step"]) == (str((run / "ckpt-2").resolve()), 2)
  assert origin["average"] is True and origin["task"] == config.task.name
  assert origin["versions"] == directory.versions()
  assert len(origin["index_sha256"]) == 64


def test_an_average_that_was_not_kept_is_not_exported(run, tmp_path):
  path, bare = run / "ckpt-2", tmp_path / "bare"
  names = [n for n in checkpoints.shapes(path) if not n.startswith("ema/")]
  checkpoints.save(bare, 2, {n: tf.constant(v) for n, v in checkpoints.read(path, names).items()})
  with pytest.raises(StorageError, match="no-average.*ckpt-2: no moving average.*--average"):
    exporting.export(resolved(run), str(tmp_path / "model"), checkpoint=str(bare), average=True)
  assert not (tmp_path / "model").exists()


def test_a_run_directory_is_never_overwritten(run):
  with pytest.raises(StorageError, match="output-exists.*Only a SavedModel"):
    exporting.export(resolved(run), str(run), overwrite=True)
  assert checkpoints.committed(run) == [0, 2]


def test_an_export_needs_an_output_and_the_configuration_of_the_run(run, tmp_path):
  with pytest.raises(ConfigError, match="--output: missing"):
    export.main(arguments(run))
  with pytest.raises((ConfigError, StorageError), match="preprocessing crop: 16"):
    exporting.export(resolved(run, "--config.task.crop=12"), str(tmp_path / "model"))
  assert not list(tmp_path.iterdir())
