"""Whole runs through the programs: local processes, and one process for each task of TF_CONFIG."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

from tests.apps.tiny_run import arguments


class Programs(contextlib.ExitStack):
  """Programs started side by side, all of which end with the block."""

  def __init__(self, root: pathlib.Path, logs: pathlib.Path):
    super().__init__()
    self._root, self._logs = root, logs

  def start(self, name: str, program: str, words, tf_config: str = "") -> subprocess.Popen:
    """Starts `python -m jft_reps.apps.<program>`; what it says goes to `<name>.log`."""
    environment = {**os.environ, "TF_CONFIG": tf_config, "TF_CPP_MIN_LOG_LEVEL": "2"}
    with open(self._logs / f"{name}.log", "ab") as log:
      process = subprocess.Popen(
          [sys.executable, "-m", f"jft_reps.apps.{program}", *words[1:]], cwd=self._root,
          env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    self.callback(process.wait, 30)
    self.callback(process.kill)
    return process

  def said(self, name: str) -> str:
    return (self._logs / f"{name}.log").read_text()


def wait_for(condition, seconds: float, process: subprocess.Popen) -> None:
  """Polls until a condition holds; fails after `seconds` or when the process has ended."""
  end = time.monotonic() + seconds
  while not condition():
    assert process.poll() is None, f"ended with {process.returncode}"
    assert time.monotonic() < end, f"not within {seconds} s"
    time.sleep(0.02)


def tf_config(ports, job: str) -> str:
  chief, worker, server = (f"127.0.0.1:{port}" for port in ports)
  return json.dumps({"cluster": {"chief": [chief], "worker": [worker], "ps": [server]},
                     "task": {"type": job, "index": 0}})


def free_ports(count: int) -> list[int]:
  with contextlib.ExitStack() as stack:
    sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
    for s in sockets:
      s.bind(("127.0.0.1", 0))
    return [s.getsockname()[1] for s in sockets]


def events(workdir: pathlib.Path, kind: str) -> list[dict]:
  lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
  return [line for line in lines if line["event"] == kind]


@pytest.mark.slow
def test_a_cluster_of_local_processes_trains_to_the_end(root, tmp_path):
  run = tmp_path / "run"
  with Programs(root, tmp_path) as programs:
    words = arguments(run, "--local_cluster=workers=2,ps=1,mode=processes", steps=40,
                      checkpoint_every=20)
    assert programs.start("train", "train", words).wait(timeout=90) == 0, programs.said("train")
    said = programs.said("train")
  assert json.loads((run / "DONE").read_text())["step"] == 40
  assert f"jft_reps: step 40, {run}" in said and "Traceback" not in said
  assert {p.name for p in run.glob("ckpt-*.ok")} == {"ckpt-0.ok", "ckpt-20.ok", "ckpt-40.ok"}
  assert {p.name for p in (run / "logs").glob("*-?.log")} == {
      "worker-0.log", "worker-1.log", "ps-0.log"}
  assert "2 workers, 1 parameter servers" in (run / "run_card.md").read_text()


@pytest.mark.slow
def test_a_killed_chief_goes_on_beside_its_workers_and_the_monitor(root, tmp_path):
  run, ports, steps = tmp_path / "run", free_ports(3), 300
  words = arguments(run, steps=steps, checkpoint_every=50)
  with Programs(root, tmp_path) as programs:
    for job in ("worker", "ps"):
      programs.start(job, "train", words, tf_config(ports, job))
    monitor = programs.start("monitor", "evaluate", [*words, "--follow", "--timeout=60"])
    chief = programs.start("chief", "train", words, tf_config(ports, "chief"))
    wait_for((run / "ckpt-100.ok").exists, 90, chief)
    chief.kill()
    chief.wait(timeout=10)
    assert not (run / "DONE").exists()
    again = programs.start("again", "train", words, tf_config(ports, "chief"))
    assert again.wait(timeout=120) == 0, programs.said("again")
    assert monitor.wait(timeout=60) == 0, programs.said("monitor")
  assert json.loads((run / "DONE").read_text())["step"] == steps
  assert (run / f"ckpt-{steps}.ok").exists() and f"step {steps}, {run}" in programs.said("again")
  resumed = int(programs.said("again").partition("at step ")[2].split()[0])
  assert 100 <= resumed < steps
  evaluated = [line["step"] for line in events(run, "eval")]
  assert evaluated[0] == 0 and evaluated[-1] == steps and len(set(evaluated)) == len(evaluated)
  assert all("Traceback" not in programs.said(name) for name in ("again", "monitor"))
