"""A monitor that was killed loses nothing and leaves nothing behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from jft_reps.training.evaluation import monitor
from jft_reps.training.run_directory import best, checkpoints, directory
from tests.training.test_trainer import train
from tests.training.tiny_task import TinyTask


@pytest.fixture(scope="module")
def dead():
  process = subprocess.Popen([sys.executable, "-c", ""])
  process.wait()
  return f"{socket.gethostname()}-{process.pid}"


def folder(path, text="x"):
  path.mkdir(parents=True)
  (path / "info.json").write_text(text)
  return path


def test_a_best_that_was_moved_away_comes_back(tmp_path, dead):
  """Killed between the two renames: the new one is not there yet, the old one no longer."""
  train(tmp_path, 20)
  said = []
  watch = lambda: monitor.Monitor(
      TinyTask(), directory.RunDirectory(tmp_path), best="score", say=said.append)
  watch().follow(0.05, 30)
  before = json.loads((tmp_path / "best" / "info.json").read_text())
  os.replace(tmp_path / "best", tmp_path / f".best.old-{dead}")
  folder(tmp_path / f".best.tmp-{dead}")
  watch().follow(0.05, 30)
  assert json.loads((tmp_path / "best" / "info.json").read_text()) == before
  checkpoints.verify(tmp_path / "best", before["step"])
  assert not list(tmp_path.glob(".best.*")) and not list(tmp_path.glob(".monitor/*"))


def test_only_what_dead_processes_left_is_swept(tmp_path, dead):
  folder(tmp_path / "best", "now")
  gone = [folder(tmp_path / name) for name in (
      f".monitor/held-3-{dead}", f".best.tmp-{dead}", f".best.old-{dead}",
      f".monitor/held-9-{socket.gethostname()}-{os.getpid()}", ".monitor/held-2-elsewhere-1",
      ".monitor/17-4")]
  for path in gone[-2:]:
    os.utime(path, (1, 1))
  living = f"{socket.gethostname()}-{os.getppid()}"
  stay = [folder(tmp_path / name) for name in (
      f".monitor/held-3-{living}", f".best.tmp-{living}", ".monitor/held-5-elsewhere-1")]
  best.sweep(tmp_path)
  assert [p.name for p in gone if p.exists()] == []
  assert [p.name for p in stay if not p.exists()] == []
  assert (tmp_path / "best" / "info.json").read_text() == "now"


def test_a_held_checkpoint_outlives_the_trainers_sweep(tmp_path):
  train(tmp_path, 40, checkpoint_every=20, keep=5)
  with best.held(tmp_path, 20) as held:
    checkpoints.clean_up(tmp_path, keep=1)
    assert checkpoints.committed(tmp_path) == [40]
    checkpoints.verify(held, 20)
    best.keep_best(tmp_path, 20, held, "score", 0.5)
    best.keep_best(tmp_path, 20, held, "score", float("nan"))
  assert not held.exists()
  assert json.loads((tmp_path / "best" / "info.json").read_text()) == {
      "step": 20, "name": "score", "value": 0.5}
