"""SIGTERM and SIGINT save what there is and end the process; who only waits ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from jft_reps.training.cluster.signals import StopSignals
from jft_reps.training.run_directory import checkpoints

_RUN = """
import os, signal, sys
from tests.training.test_trainer import TinyTask, options
from jft_reps.training import trainer
from jft_reps.training.cluster import start
from jft_reps.training.run_directory.directory import RunDirectory
kind, path, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
task = TinyTask()
def progress(step, note):
  if kind == "training" and step == 33:
    os.kill(os.getpid(), number)
where = {"cluster": start.local(1, 1)} if kind == "preflight" else {}
trainer.Trainer(task, RunDirectory(path), options(60), notes=task.notes,
                progress=progress, **where).train()
"""


def start(root, kind, path, number):
  return subprocess.Popen(
      [sys.executable, "-c", _RUN, kind, str(path), str(int(number))], cwd=root,
      env={**os.environ, "PYTHONPATH": str(root)}, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number,code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_training_saves_the_step_it_is_at(root, tmp_path, number, code):
  process = start(root, "training", tmp_path, number)
  _, err = process.communicate(timeout=100)
  assert process.returncode == code, err[-2000:]
  assert checkpoints.committed(tmp_path) == [0, 20, 33]
  assert not (tmp_path / "DONE").exists()


def test_a_signal_while_the_cluster_is_awaited_ends_at_once(root, tmp_path):
  process = start(root, "preflight", tmp_path, 0)
  try:
    while "waiting for worker 0" not in (line := process.stderr.readline()):
      assert line, "it ended by itself"
    process.terminate()
    assert process.wait(timeout=100) == 143  # of 300 s of waiting
  finally:
    process.kill()


def test_what_only_waits_is_left_at_once_and_never_entered_after_a_signal():
  stop, seen = StopSignals(), []
  with stop.caught():
    with pytest.raises(SystemExit) as left:
      with stop.at_once():
        signal.raise_signal(signal.SIGTERM)
        seen.append("went on")
    assert left.value.code == 143
    with pytest.raises(SystemExit):
      with stop.at_once():
        seen.append("entered")
  assert not seen


def test_a_signal_elsewhere_is_only_noted():
  stop = StopSignals()
  before = signal.getsignal(signal.SIGINT)
  with stop.caught():
    signal.raise_signal(signal.SIGINT)
    assert stop.number == signal.SIGINT
  assert signal.getsignal(signal.SIGINT) is before
