"""Jobs of a tiny cluster: what they train is gathered by the command that stands beside them."""

import json
import os
import pathlib
import shlex
import subprocess

import pytest

from jft_reps import errors
from jft_reps.apps import command_line, report, study, train
from jft_reps.studies import plan
from jft_reps.studies.cluster import machine_hours
from jft_reps.studies.cluster.jobs import Site, Topology
from jft_reps.studies.running import results, run_files, stored_plan
from jft_reps.workflows.study import collect, plans
from jft_reps.workflows.study import jobs as study_jobs

_ROOT = pathlib.Path(__file__).parents[3]
_CONFIG = "experiments/table1_imagenet.py:random"
_SOURCE = stored_plan.PlanSource("experiments/paper.py:full")


def _work(task):
  return machine_hours.classification(task["backbone"]["depth"], task["crop"], task["crop"], 10)


def tiny(volume, **changes):
  """A network of full width on a few small pictures: training, and a probe that needs it."""
  shared = {
      "task.records": f"{volume}/records", "task.train_split": "single_train",
      "task.eval_splits": ["single_test"],
      "task.backbone.depth": 14, "task.resize": 36, "task.crop": 32, "task.batch_size": 2,
      "task.eval_batch_size": 4, "task.shuffle": 8,
      "toy_world": {"seed": 0, "size": 40, "processes": 1, "splits": {
          "single_train": [12, 1], "single_test": [8, 1]}}}
  train = {"train.steps": 2, "train.checkpoint_every": 2, "train.startup_delay": 0,
           "schedule.initial": 1e-4}
  tags = plans.read_plan("experiments/paper.py:laptop")[0]["pretrain_noisy10000_s0"].tags
  made = {"records": plan.Run("records", _CONFIG, shared, kind="records"),
          "pretrain": plan.Run("trained", _CONFIG, {**shared, **train, **changes}, ("records",),
                               "pretrain", tags),
          "probe": plan.Run("probed", _CONFIG, {
              **shared, "task.batch_norm": "recalibrate", "init.checkpoint":
              plan.Output("trained"), "study.test": "single_test"}, kind="probe")}
  return plan.Plan(made.values())


def written(tmp_path, **changes):
  """The folders of the jobs, and the volume."""
  volume = tmp_path / "the volume"
  volume.mkdir()
  site = Site("image", "claim", str(volume))
  study_jobs.write(tiny(volume, **changes), lambda run: Topology(2, 1), _work, tmp_path / "jobs",
                   site, _SOURCE)
  return tmp_path / "jobs", volume


def executed(command):
  """A command as it stands in a file, from the clone."""
  environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
  return subprocess.run(["bash", "-c", command], cwd=_ROOT, env=environment, capture_output=True,
                        text=True, timeout=300)


def collected(job, mount):
  return command_line.run(study.main, ["study", f"--collect={job}", f"--mount={mount}"])


def test_collecting_trains_nothing(tmp_path, capsys):
  jobs, volume = written(tmp_path)
  id = json.loads((jobs / "plan.json").read_text())["runs"][1]["id"]
  assert collected(jobs / "trained", volume) == errors.StorageError.exit_code
  assert not list(volume.iterdir())
  said = capsys.readouterr().err
  assert f"error[run-not-done]: {volume}/runs/{id}: no DONE; expected DONE at step 2" in said
  assert "jobs/trained/manifest.yaml" in said
  directory = volume / "runs" / id
  directory.mkdir(parents=True)
  (directory / "DONE").write_text(json.dumps({"step": 1}))
  assert collected(jobs / "trained", volume) == errors.StorageError.exit_code
  assert "DONE at step 1; expected DONE at step 2" in capsys.readouterr().err
  assert collected(jobs / "probed", volume) == errors.StorageError.exit_code
  assert f"{directory}: no numbers.json of trained" in capsys.readouterr().err
  assert not (volume / "plan.json").exists()


def test_a_part_that_is_gathered_takes_nothing_from_the_volume(tmp_path):
  volume = tmp_path / "volume"
  whole = tiny(volume)
  site = Site("image", "claim", str(volume))
  for name in ("records", "trained"):
    study_jobs.write(whole.select([name]), lambda run: Topology(2, 1), _work, tmp_path / name, site,
                     _SOURCE, whole=whole)
  done = volume / "runs" / whole.ids()["trained"] / "DONE"
  done.parent.mkdir(parents=True)
  done.write_text(json.dumps({"step": 2}))
  collect.prepare(tmp_path / "trained" / "trained", volume)
  collect.prepare(tmp_path / "records" / "records", volume)
  found = results.of_directory(volume)
  assert {r.run.name for r in found.results} == {"records", "trained"} and found.planned == 3


def test_what_is_no_job_and_no_volume_is_named(tmp_path, capsys):
  jobs, volume = written(tmp_path)
  assert collected(tmp_path, volume) == errors.DataError.exit_code
  assert "run.json" in capsys.readouterr().err
  assert collected(jobs / "records", tmp_path / "none") == errors.StorageError.exit_code
  assert "none: no such folder; expected the volume of the jobs" in capsys.readouterr().err
  for content in ({"runs": []}, {"runs": [{"name": "records", "id": "../x"}]}):
    (jobs / "plan.json").write_text(json.dumps(content))
    assert collected(jobs / "records", volume) == errors.DataError.exit_code
    assert "plan.json" in capsys.readouterr().err


def test_a_command_beside_a_job_makes_the_volume_a_study(tmp_path, capsys):
  jobs, volume = written(tmp_path)
  done = executed((jobs / "records" / "collect.txt").read_text())
  assert done.returncode == 0, done.stderr
  id = json.loads((volume / "plan.json").read_text())["runs"][0]["id"]
  assert run_files.read_numbers(volume / "runs" / id) == {
      "pictures single_train": 12.0, "pictures single_test": 8.0}
  assert run_files.read_run(volume / "runs" / id).name == "records"
  assert command_line.run(report.main, ["report", f"--study={volume}"]) == 0
  assert "1 of 3 runs done, 2 left" in capsys.readouterr().out


def test_a_job_that_starts_before_those_it_needs_is_an_error_that_names_them(tmp_path, capsys):
  jobs, volume = written(tmp_path)
  words = shlex.split((jobs / "trained" / "command.txt").read_text().splitlines()[2])[2:]
  assert command_line.run(train.main, words) == errors.ConfigError.exit_code
  needed = volume / "runs" / json.loads((jobs / "plan.json").read_text())["runs"][0]["id"]
  assert f"error[run-not-done]: --after: {needed}: neither DONE nor numbers.json" in (
      capsys.readouterr().err)
  assert not list(volume.iterdir())
  needed.mkdir(parents=True)
  (needed / "numbers.json").write_text("{}")
  assert command_line.run(train.main, words) == 0


@pytest.mark.slow
def test_what_a_cluster_has_trained_is_gathered(tmp_path):
  jobs, volume = written(tmp_path)
  program = (jobs / "trained" / "command.txt").read_text().splitlines()[2]
  for command in ((jobs / "records" / "collect.txt").read_text(),
                  f"{program} --local_cluster=workers=2,ps=1",
                  (jobs / "trained" / "collect.txt").read_text()):
    done = executed(command)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
  trained = json.loads((volume / "plan.json").read_text())["runs"][1]
  directory = volume / "runs" / trained["id"]
  assert 0 <= run_files.read_numbers(directory)["classification/top1"] <= 1
  assert (directory / "DONE").exists() and run_files.read_run(directory).name == trained["name"]


@pytest.mark.parametrize("changes, message", [
    ({"task.records": "/elsewhere"}, r"trained, task\.records: /elsewhere; expected a path below"),
    ({"study.rates": [0.1, 0.2]}, "learning rates to choose from")])
def test_what_no_task_can_do_becomes_no_job(tmp_path, changes, message):
  with pytest.raises(errors.ConfigError, match=message):
    written(tmp_path, **changes)
