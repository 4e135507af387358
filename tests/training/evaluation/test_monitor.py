"""The monitor never loses the last checkpoint, keeps the best, and outlives deletions."""

from __future__ import annotations

import json
import signal
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import StorageError
from jft_reps.training import trainer
from jft_reps.training.evaluation import monitor
from jft_reps.training.run_directory import checkpoints, directory
from tests.training.test_trainer import options, train
from tests.training.tiny_task import TinyEvaluator, TinyTask


def follow(path, **values):
  said = []
  watch = monitor.Monitor(TinyTask(), directory.RunDirectory(path), best="score",
                          say=said.append, **values)
  return watch.follow(poll=0.05, timeout=30), said


def test_it_takes_the_first_the_milestones_and_the_last_and_says_what_it_skips(tmp_path):
  train(tmp_path, 60, checkpoint_every=10, keep=20)
  results, said = follow(tmp_path, milestones=[30])
  assert sorted(results) == [0, 30, 60]
  assert "skipping step 40: step 60 is newer" in said
  assert results[60]["score"] > results[0]["score"]
  written = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
  assert {m["step"]: m["score"] for m in written if m["event"] == "eval"} == {
      s: r["score"] for s, r in results.items()}
  assert list((tmp_path / "eval_tiny").iterdir())


def test_a_milestone_that_was_overshot_is_evaluated_all_the_same(tmp_path):
  """The trainer keeps the first checkpoint at or after it: the monitor takes that one."""
  train(tmp_path, 60, checkpoint_every=10, keep=20)
  results, _ = follow(tmp_path, milestones=[25, 41, 1000])
  assert sorted(results) == [0, 30, 50, 60]


def test_it_ends_when_the_trainer_has_ended_and_says_why(tmp_path, monkeypatch):
  def broken(*_):
    raise RuntimeError("no more\npictures")

  monkeypatch.setattr(TinyTask, "train_dataset", broken)
  with pytest.raises(RuntimeError):
    train(tmp_path, 20)
  monkeypatch.undo()
  with pytest.raises(StorageError, match="its trainer ended: RuntimeError: no more"):
    follow(tmp_path)  # after it has evaluated what there is
  assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 0
  (tmp_path / "STOPPED").write_text("{")
  with pytest.raises(StorageError, match="STOPPED cannot be read"):
    follow(tmp_path)
  train(tmp_path, 20)  # resumes
  assert not (tmp_path / "STOPPED").exists() and 20 in follow(tmp_path)[0]


def test_a_signal_leaves_word_of_what_is_saved(tmp_path):
  stop = lambda step, note: signal.raise_signal(signal.SIGTERM) if step == 7 else None
  task = TinyTask()
  with pytest.raises(SystemExit):
    trainer.Trainer(task, directory.RunDirectory(tmp_path), options(60), notes=task.notes,
                    progress=stop).train()
  saved = checkpoints.committed(tmp_path)[-1]
  assert directory.RunDirectory(tmp_path).stopped() == f"signal 15, step {saved} is saved"


def test_its_number_is_that_of_the_checkpoints_weights(tmp_path):
  train(tmp_path, 20)
  task = TinyTask()
  values = checkpoints.read(
      tmp_path / "ckpt-20", ["head/kernel", "head/bias", "norm/gamma", "norm/beta",
                             "norm/moving_mean", "norm/moving_variance"])
  losses = []
  for batch in task.evaluators()[0].dataset():
    x, y = batch["x"].numpy().astype(np.float64), batch["targets"].numpy()
    hat = (x - values["norm/moving_mean"]) / np.sqrt(values["norm/moving_variance"] + 1e-5)
    logits = (hat * values["norm/gamma"] + values["norm/beta"]) @ values["head/kernel"]
    logits += values["head/bias"]
    losses += (np.logaddexp(0, logits) - y * logits).sum(1).tolist()
  results, _ = follow(tmp_path)
  np.testing.assert_allclose(results[20]["score"], -np.mean(losses), rtol=1e-5)


def test_a_second_monitor_goes_on_where_the_first_stopped(tmp_path):
  train(tmp_path, 20)
  first, _ = follow(tmp_path)
  train(tmp_path, 40)
  again, said = follow(tmp_path)
  assert sorted(again) == [0, 20, 40] and again[20] == first[20]
  assert [s for s in said if s.startswith("step ")] == [s for s in said if "step 40" in s]


def test_the_moving_average_is_evaluated_where_asked(tmp_path):
  train(tmp_path, 60)
  weights, _ = follow(tmp_path)
  (tmp_path / "metrics.jsonl").unlink()
  average, _ = follow(tmp_path, average=True)
  assert average[60]["score"] != weights[60]["score"]


def test_best_is_the_best_and_complete_though_the_trainer_deleted_it(tmp_path):
  train(tmp_path, 60, checkpoint_every=20, keep=1)
  follow(tmp_path)
  info = json.loads((tmp_path / "best" / "info.json").read_text())
  assert info["step"] == 60
  checkpoints.verify(tmp_path / "best", 60)
  (tmp_path / "metrics.jsonl").write_text("")
  (tmp_path / "best" / "info.json").write_text(json.dumps({**info, "value": 1e9}))
  follow(tmp_path)
  assert json.loads((tmp_path / "best" / "info.json").read_text())["value"] == 1e9


def test_it_survives_a_trainer_that_deletes_as_fast_as_it_writes(tmp_path):
  """150 saves with keep=1: no crash, no torn read, and the last is always evaluated."""
  run = directory.RunDirectory(tmp_path)
  task = TinyTask()
  items = task.checkpoint_items(task.build())

  def write():
    for step in range(1, 151):
      for item in items.values():
        for part in getattr(item, "parts", (item,)):
          part.assign(tf.fill(part.shape, step / 1000))
      checkpoints.save(tmp_path, step, items)
      checkpoints.clean_up(tmp_path, keep=1)
    run.finish(150)

  writer = threading.Thread(target=write)
  writer.start()
  results, _ = follow(tmp_path)
  writer.join()
  assert 150 in results
  assert all(np.isfinite(r["score"]) for r in results.values() if r)


def test_it_gives_up_aloud_when_nothing_comes(tmp_path):
  with pytest.raises(StorageError, match=(
      r"no new checkpoint for \d+ s and nothing new in metrics.jsonl for \d+ s")):
    monitor.Monitor(TinyTask(), directory.RunDirectory(tmp_path)).follow(0.05, timeout=0.2)


def test_while_the_trainer_writes_lines_it_waits_longer_than_its_timeout(tmp_path):
  """A checkpoint may take hours; the trainer's lines tell that it lives."""
  run, written = directory.RunDirectory(tmp_path), []

  def write():
    for step in range(20):
      run.append(event="train", step=step)
      written.append(time.monotonic())
      time.sleep(0.1)

  writer = threading.Thread(target=write)
  writer.start()
  with pytest.raises(StorageError, match="no-checkpoint"):
    monitor.Monitor(TinyTask(), run).follow(0.05, timeout=1.5)
  assert len(written) == 20 and time.monotonic() - written[-1] > 1.4
  writer.join()


def test_an_average_that_was_not_kept_is_not_evaluated(tmp_path):
  train(tmp_path, 20, ema_decay=0.0)
  task = TinyTask()
  with pytest.raises(StorageError, match="no-average.*ckpt-20: no moving average"):
    monitor.load_model(tmp_path / "ckpt-20", task, task.build(), average=True)


def test_pictures_can_be_left_out_by_id_without_a_second_run(tmp_path):
  train(tmp_path, 20)
  (tmp_path / "metrics.jsonl").unlink()
  ids = [str(i) for i in range(1, 5)]
  results, said = follow(tmp_path, exclude_ids=ids)
  for step, found in results.items():
    clean = f"score = {found['score']:.4f}, clean {found['score (clean)']:.4f} ("
    assert any(line.startswith(f"step {step}: {clean}") for line in said)
  assert results[20]["score (clean)"] != results[20]["score"]
  evaluator = TinyTask().evaluators()[0]
  task = TinyTask()
  model = task.build()
  monitor.load_model(tmp_path / "ckpt-20", task, model)
  np.testing.assert_allclose(
      monitor.judge(evaluator, model, exclude_ids=ids)["score (clean)"],
      results[20]["score (clean)"], rtol=1e-6)


def test_a_slow_monitor_takes_the_newest_and_says_what_it_skips(tmp_path):
  """The trainer sweeps while the monitor works: what is oldest now is not the first."""
  said, run = [], directory.RunDirectory(tmp_path)
  watch = monitor.Monitor(TinyTask(), run, best="score", say=said.append)
  items = TinyTask().checkpoint_items(TinyTask().build())
  evaluated = set()
  for newest in (0, 3, 6):
    for step in range(max(0, newest - 2), newest + 1):
      if step not in checkpoints.committed(tmp_path):
        checkpoints.save(tmp_path, step, items)
    checkpoints.clean_up(tmp_path, keep=2)
    assert watch._next(evaluated) == newest
    evaluated.add(newest)
  assert "skipping step 5: step 6 is newer" in said


def test_pictures_of_several_batches_stand_side_by_side_in_tensorboard(tmp_path):
  class Drawing(TinyTask):
    def pictures(self, model, batch):
      return {"boxes": np.full([4, 2, 2, 3], 7, np.uint8)}

  train(tmp_path, 4)
  monitor.Monitor(Drawing(), directory.RunDirectory(tmp_path), best="score",
                  say=lambda text: None).follow(poll=0.05, timeout=30)
  shown = {}
  for path in (tmp_path / "eval_tiny").glob("events*"):
    for event in tf.compat.v1.train.summary_iterator(str(path)):
      for value in event.summary.value:
        if value.tag == "boxes":
          shown[event.step] = len(tf.make_ndarray(value.tensor)) - 2  # after width and height
  assert shown and set(shown.values()) == {8}


def test_guessing_is_a_line_of_its_own_in_the_charts_and_said_beside_the_number(
    tmp_path, monkeypatch):
  guess = lambda self, exclude_ids=None: {"score": -9.0 if exclude_ids else -8.0}
  monkeypatch.setattr(TinyEvaluator, "chance", guess, raising=False)
  train(tmp_path, 4)
  _, said = follow(tmp_path, exclude_ids=["x"])
  assert any(line.startswith("step 4: score = -") and ", guessing -8.0000 (" in line
             for line in said)
  found = {(event.step, value.tag): float(tf.make_ndarray(value.tensor))
           for path in (tmp_path / "eval_tiny_guessing").glob("events*")
           for event in tf.compat.v1.train.summary_iterator(str(path))
           for value in event.summary.value}
  assert found == {(step, tag): value for step in (0, 4)
                   for tag, value in (("score", -8.0), ("score (clean)", -9.0))}
