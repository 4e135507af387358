"""One process: the whole path, resume, moving averages, NaN, milestones, messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import NumericError, StorageError
from jft_reps.task import START
from jft_reps.training import optimizers, schedules, trainer
from jft_reps.training.run_directory import checkpoints, directory
from tests.training.tiny_task import FEATURES, TinyTask


def options(steps, **values):
  values = {"checkpoint_every": 20, "log_every": 10, "ema_decay": 0.9,
            "optimizer": optimizers.RMSProp(),
            "schedule": schedules.ExponentialDecay(0.05, 0.5, 25), **values}
  return trainer.TrainerOptions(steps=steps, **values)


def train(path, steps, task=None, **values):
  task = task or TinyTask()
  return trainer.Trainer(task, directory.RunDirectory(path), options(steps, **values),
                         notes=task.notes).train()


def state_at(path, step):
  names = checkpoints.shapes(path / f"ckpt-{step}")
  return checkpoints.read(path / f"ckpt-{step}", list(names))


def test_a_run_leaves_what_the_readme_promises(tmp_path):
  assert train(tmp_path, 60) == 60
  assert checkpoints.committed(tmp_path) == [0, 20, 40, 60]
  for name in ("config.json", "run_card.md", "metrics.jsonl", "DONE", "train"):
    assert (tmp_path / name).exists(), name
  lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
  assert [m["step"] for m in lines] == [10, 20, 30, 40, 50, 60]
  assert lines[-1]["loss/total"] < lines[0]["loss/total"]
  assert {m["learning_rate"] for m in lines} == {
      np.float32(r) for r in (0.05, 0.05 * 0.5, 0.05 * 0.25)} | {
          # the point over steps 21 to 30 crosses the drop at 25
          m["learning_rate"] for m in lines if m["step"] == 30}


def test_tensorboard_has_a_card_of_where_the_weights_came_from(tmp_path):
  task = TinyTask()
  task.prepare = lambda model: "batch-norm: as it came"
  trainer.Trainer(task, directory.RunDirectory(tmp_path), options(5), notes=task.notes,
                  initialize=lambda state: "initialised from somewhere").train()
  cards = [value.tensor.string_val[0].decode() for file in (tmp_path / "train").iterdir()
           for event in tf.compat.v1.train.summary_iterator(str(file))
           for value in event.summary.value if value.tag == "init"]
  assert cards == ["```\ninitialised from somewhere\nbatch-norm: as it came\n```"]


def test_the_step_is_the_gradient_step_of_the_stated_formulas(tmp_path):
  """One push by hand: softplus gradient, coupled decay, TF1 RMSProp, batch-norm statistics."""
  train(tmp_path, 1, checkpoint_every=1, ema_decay=0.75, weight_decay=0.1)
  old, new = state_at(tmp_path, 0), state_at(tmp_path, 1)
  batch = next(iter(TinyTask().train_dataset(START)))
  x, y = batch["x"].numpy().astype(np.float64), batch["targets"].numpy()
  mean, var = x.mean(0), x.var(0)
  hat = (x - mean) / np.sqrt(var + 1e-5)
  logits = hat @ old["head/kernel"] + old["head/bias"]
  d = (1 / (1 + np.exp(-logits)) - y) / len(x)
  g = hat.T @ d + 0.1 * old["head/kernel"]
  ms = 0.9 * 1 + 0.1 * g**2
  mom = 0.05 * g / np.sqrt(ms + 1)
  np.testing.assert_allclose(new["head/kernel"], old["head/kernel"] - mom, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(new["slots/rms/head/kernel"], ms, rtol=1e-5)
  np.testing.assert_allclose(new["slots/momentum/head/bias"],
                             0.05 * d.sum(0) / np.sqrt(0.9 + 0.1 * d.sum(0)**2 + 1), rtol=1e-4,
                             atol=1e-7)
  np.testing.assert_allclose(
      new["ema/head/kernel"], old["head/kernel"] - 0.25 * mom, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(new["norm/moving_mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(
      new["norm/moving_variance"], 0.9 + 0.1 * x.var(0, ddof=1), rtol=1e-4)
  assert new["position"].tolist() == [[0, 0, 4]] and new["images_seen"] == 4


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path):
  train(tmp_path / "whole", 60)
  train(tmp_path / "parts", 20)
  train(tmp_path / "parts", 60)
  whole, parts = state_at(tmp_path / "whole", 60), state_at(tmp_path / "parts", 60)
  assert whole.keys() == parts.keys()
  for name in whole:
    np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)


_KILLED = """
import os, signal, sys
from tests.training.test_trainer import TinyTask, options
from jft_reps.training import trainer
from jft_reps.training.run_directory import directory
def progress(step, note):
  if step == 33:
    os.kill(os.getpid(), signal.SIGKILL)
task = TinyTask()
trainer.Trainer(task, directory.RunDirectory(sys.argv[1]), options(60), notes=task.notes,
                progress=progress).train()
"""


def test_a_run_killed_with_9_resumes_bit_equal(tmp_path, root):
  environment = {**os.environ, "PYTHONPATH": str(root)}
  killed = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "killed")],
                          cwd=root, env=environment, timeout=120, check=False)
  assert killed.returncode == -9
  assert checkpoints.committed(tmp_path / "killed")[-1] == 20
  train(tmp_path / "killed", 60)
  train(tmp_path / "whole", 60)
  whole, parts = state_at(tmp_path / "whole", 60), state_at(tmp_path / "killed", 60)
  for name in whole:
    np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)


def test_a_push_that_is_not_finite_changes_nothing_and_is_counted(tmp_path):
  poison = lambda worker, row: tf.equal(row, 21)  # in the sixth batch of four
  train(tmp_path / "poisoned", 6, TinyTask(poison=poison), checkpoint_every=1, keep=20)
  before, after = state_at(tmp_path / "poisoned", 5), state_at(tmp_path / "poisoned", 6)
  assert after["skipped"] == 1 and after["images_seen"] == 7 * 4
  train(tmp_path / "clean", 5, checkpoint_every=1)
  clean = state_at(tmp_path / "clean", 5)
  for name in clean:
    np.testing.assert_array_equal(before[name], clean[name], err_msg=name)
  assert all(np.isfinite(v).all() for v in after.values() if not isinstance(v, bytes))


def test_pushes_that_keep_failing_stop_the_run_with_the_last_good_checkpoint(tmp_path):
  poison = lambda worker, row: row >= 100
  with pytest.raises(NumericError, match="11 pushes in a row"):
    train(tmp_path, 60, TinyTask(poison=poison))
  assert checkpoints.committed(tmp_path) == [0, 20]


def test_milestones_stay_and_the_rest_is_swept(tmp_path):
  train(tmp_path, 60, checkpoint_every=10, keep=2, keep_steps=(20, 35))
  assert checkpoints.committed(tmp_path) == [20, 35, 50, 60]


def test_a_second_trainer_in_a_run_directory_is_refused(tmp_path):
  run = directory.RunDirectory(tmp_path)
  run.open()
  try:
    with pytest.raises(StorageError, match=f"in use by process {os.getpid()}"):
      train(tmp_path, 5)
  finally:
    run.close()


def test_lost_checkpoints_are_never_a_silent_fresh_start(tmp_path):
  train(tmp_path, 20)
  for path in tmp_path.glob("ckpt-*"):
    path.unlink()
  with pytest.raises(StorageError, match="metrics of earlier steps, no checkpoint"):
    train(tmp_path, 40)


def test_another_vocabulary_is_refused_before_anything_is_restored(tmp_path):
  train(tmp_path, 20)
  task = TinyTask()
  task.notes = {"labels": ["other", *TinyTask.notes["labels"][1:]]}
  before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
  with pytest.raises(StorageError, match="labels 0: class 0, of 7; expected other, of 7"):
    train(tmp_path, 40, task)
  after = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
  assert after.keys() - {"STOPPED"} == before.keys()
  assert {n for n in before if after[n] != before[n]} <= {".lock"}


def test_run_id_ignores_the_workdir_only():
  a = directory.run_id({"lr": 1, "workdir": "x"})
  assert a == directory.run_id({"workdir": "y", "lr": 1})
  assert a != directory.run_id({"workdir": "x", "lr": 2})


def test_statistics_are_part_of_the_state(tmp_path):
  train(tmp_path, 20)
  assert state_at(tmp_path, 20)["norm/moving_mean"].shape == (FEATURES,)
