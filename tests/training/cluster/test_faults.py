"""Processes of a cluster are killed and frozen; the run goes on, or says what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.run_directory import checkpoints, directory

pytestmark = pytest.mark.slow


def start(root, what, path, steps, *more):
  path.mkdir(parents=True, exist_ok=True)
  return subprocess.Popen(
      [sys.executable, "-m", "tests.training.cluster.cluster_run", what, str(path), str(steps),
       *map(str, more)],
      cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, timeout=180):
  try:
    out, err = process.communicate(timeout=timeout)
  finally:
    process.kill()
  assert process.returncode == 0, err[-3000:]
  return json.loads(out.strip().splitlines()[-1])


def positions(path, step):
  return checkpoints.read(path / f"ckpt-{step}", ["position"])["position"]


def finite(path):
  step = checkpoints.committed(path)[-1]
  values = checkpoints.read(path / f"ckpt-{step}", list(checkpoints.shapes(path / f"ckpt-{step}")))
  return all(np.isfinite(v).all() for v in values.values() if not isinstance(v, bytes))


def test_a_killed_worker_costs_its_own_work_and_rejoins(root, tmp_path):
  result = finish(start(root, "worker", tmp_path, 1000))
  assert result["error"] is None and result["restarts"] == 0
  assert 1000 <= result["step"] <= 1002  # a closure may run twice after a kill
  at = checkpoints.committed(tmp_path)
  gone, back = positions(tmp_path, at[2])[1], positions(tmp_path, at[-1])[1]
  assert tuple(back) > tuple(gone), "worker 1 never read on"
  assert finite(tmp_path)


def test_a_killed_server_costs_one_unattended_restart(root, tmp_path):
  result = finish(start(root, "ps", tmp_path, 400))
  assert result["error"] is None and result["restarts"] >= 1
  assert 400 <= result["step"] <= 402
  events = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
  restarts = [e for e in events if e["event"] == "restart"]
  assert restarts and all(e["step"] == 50 for e in restarts)
  assert finite(tmp_path)


def test_a_killed_chief_takes_its_processes_along_and_resumes(root, tmp_path):
  process = start(root, "chief", tmp_path, 300)
  process.communicate(timeout=120)
  assert process.returncode == -9
  assert checkpoints.committed(tmp_path)[-1] == 50
  pids = json.loads((tmp_path / "pids.json").read_text())
  deadline = time.monotonic() + 20
  while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
    time.sleep(0.2)
  assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
  result = finish(start(root, "nothing", tmp_path, 300))
  assert 300 <= result["step"] <= 302 and checkpoints.committed(tmp_path)[:2] == [0, 50]


def test_a_frozen_worker_is_an_error_that_names_it_not_a_hang(root, tmp_path):
  result = finish(start(root, "freeze", tmp_path, 400, 12))
  assert "no push for" in result["error"] and "worker 1" in result["error"]
  assert result["seconds"] < 90


def test_a_signal_during_a_stall_saves_and_ends_soon(root, tmp_path):
  result = finish(start(root, "stop", tmp_path, 100, 600))
  assert result["code"] == 143 and "signal 15 while pushes were stuck" in result["error"]
  assert checkpoints.committed(tmp_path)[-1] > 80 and "was saved" in result["error"]
  assert result["seconds"] < 90 and finite(tmp_path)


@pytest.mark.parametrize("what,pushes", [("freeze-ps-at-50", False), ("freeze-ps-at-70", True)])
def test_a_frozen_server_is_an_error_that_names_it(root, tmp_path, what, pushes):
  """Between two pushes, where the chief reads its counter, and in the middle of them."""
  result = finish(start(root, what, tmp_path, 100, 5, 1))
  assert result["error"].startswith("error[stalled]") and result["code"] == 75
  assert "o answer from ps 0 (127.0.0.1:" in result["error"] and "worker" not in result["error"]
  assert ("no push for" in result["error"]) == pushes
  assert result["seconds"] < 60 and checkpoints.committed(tmp_path)[-1] == (50 if pushes else 0)


def test_a_signal_while_the_chief_waits_for_a_frozen_server_ends_the_run(root, tmp_path):
  result = finish(start(root, "stop-ps-at-50", tmp_path, 100, 600, 1))
  assert result["code"] == 143 and "ps 0" in result["error"]
  assert result["seconds"] < 75


_ELSEWHERE = """
import os, sys
import tensorflow as tf
from jft_reps.errors import JftError
from jft_reps.training.cluster import local_processes
from jft_reps.training.run_directory.directory import RunDirectory
from tests.training.cluster.test_cluster import TinyTask, options, trainer

class RecordsTask(TinyTask):
  def train_dataset(self, place):
    records = tf.data.TFRecordDataset(tf.constant(["my records/train-0.tfrecord"])).repeat()
    rows = super().train_dataset(place)
    return tf.data.Dataset.zip((rows, records)).map(lambda row, record: row)

  def explain(self, error):  # as seen from the chief
    assert os.path.exists("my records/train-0.tfrecord")

with local_processes.LocalProcesses(1, 1) as cluster:
  os.chdir(sys.argv[1])
  task = RecordsTask()
  run = trainer.Trainer(task, RunDirectory("run"), options(20),
                        cluster=cluster.cluster, notes=task.notes)
  try:
    run.train()
  except JftError as e:
    print(type(e).__name__, run.restarts, e, sep="|", flush=True)
  os._exit(0)
"""


def test_a_worker_without_the_record_files_is_an_error_of_data_that_names_the_file(root, tmp_path):
  (tmp_path / "my records").mkdir()
  with tf.io.TFRecordWriter(str(tmp_path / "my records" / "train-0.tfrecord")) as writer:
    writer.write(b"a record")
  result = subprocess.run(
      [sys.executable, "-c", _ELSEWHERE, str(tmp_path)], cwd=root, capture_output=True, text=True,
      timeout=120, check=False, env={**os.environ, "PYTHONPATH": str(root)})
  kind, restarts, text = result.stdout.strip().splitlines()[-1].split("|")
  assert (kind, restarts) == ("DataError", "0"), result.stderr[-2000:]
  assert "my records/train-0.tfrecord: worker 0 does not see it" in text


_TASK = """
import os, sys
from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.run_directory.directory import RunDirectory
from tests.training.cluster.test_cluster import TinyTask, options, trainer
cluster = cluster_lib.from_tf_config(os.environ["TF_CONFIG"])
run = RunDirectory(sys.argv[1])
if cluster.job != "chief":
  os._exit(cluster_lib.serve(cluster, lambda: run.done() is not None))
task = TinyTask(wait=50)
trainer.Trainer(task, run, options(int(sys.argv[2])), cluster=cluster, notes=task.notes).train()
"""


@pytest.mark.parametrize("before", [0, 40])  # a finished run may be there already
def test_workers_and_servers_of_a_finished_run_end_with_0(root, tmp_path, before):
  cluster = cluster_lib.local(2, 1)
  environment = {k: v for k, v in os.environ.items() if k != "JFT_REPS_PARENT"}

  def task(job, index, steps):
    return subprocess.Popen(
        [sys.executable, "-c", _TASK, str(tmp_path), str(steps)], cwd=root,
        env={**environment, "TF_CONFIG": cluster.tf_config(job, index), "PYTHONPATH": str(root)})

  for steps in [n for n in (before, 200) if n]:
    processes = [task(job, index, steps) for job, index, _ in cluster.tasks()]
    try:
      assert task("chief", 0, steps).wait(timeout=120) == 0
      assert [p.wait(timeout=20) for p in processes] == [0, 0, 0]
    finally:
      for process in processes:
        process.kill()
  assert directory.RunDirectory(tmp_path).done() >= 200


def test_local_processes_that_never_come_are_named(root, tmp_path):
  code = ("from jft_reps.training.cluster import start\n"
          "start.preflight(start.local(1, 1), timeout=2)")
  result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True,
                          timeout=60, check=False)
  assert "no answer from worker 0 (127.0.0.1:" in result.stderr
