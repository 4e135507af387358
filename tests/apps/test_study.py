"""The program that runs plans, and what its runs do, on tiny generated worlds."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from jft_reps import errors
from jft_reps.apps import study
from jft_reps.studies import plan
from jft_reps.studies.running import ledger, run_files, stored_plan
from jft_reps.workflows.study import judges, kinds, plans

_ROOT = pathlib.Path(__file__).parents[2]
_TINY = (
    "--config.pictures=60,240", "--config.fewer_labels_pictures=60", "--config.clean_pictures=40",
    "--config.steps=12", "--config.tasks.detect.steps=4")


def planned(reference, **overrides):
  return plans.read_plan(reference, overrides)[0]


@pytest.mark.parametrize("reference, message", [
    ("experiments/paper.py:fig9,laptop", "fig9"),
    ("experiments/paper.py:table3_voc,laptop", "full size alone"),
    ("experiments/paper.py:tiny", "tiny"),
    ("experiments/none.py:laptop", "no such file"),
    ("experiments/table2_coco.py:300M", r"no function plan\(config\)")])
def test_what_is_no_plan_is_named(reference, message):
  with pytest.raises(errors.ConfigError, match=message):
    plans.read_plan(reference)


def test_flags_are_held_against_the_plan(capsys, tmp_path):
  from jft_reps.apps import command_line
  run = lambda *flags: command_line.run(study.main, ["study", *flags])
  laptop = "--plan=experiments/paper.py:laptop"
  assert run(laptop, "--select=detect_nothing", "--dry_run") != 0
  assert "detect_nothing" in capsys.readouterr().err
  assert run(laptop, "--tags=seed", "--dry_run") != 0
  assert "tag=value" in capsys.readouterr().err
  assert run(laptop) != 0
  assert "--workdir" in capsys.readouterr().err
  assert run(laptop, "--config.sted=1", "--dry_run") != 0
  assert "--config.steps" in capsys.readouterr().err
  assert run(laptop, "--dry_run", "--select=pose_random_s0") == 0
  assert "2 runs: 1 records, 1 transfer" in capsys.readouterr().out
  assert run("--status", f"--workdir={tmp_path}") != 0
  assert "plan.json: there is none; expected the directory of a study" in capsys.readouterr().err
  assert run(laptop, "--dry_run", f"--archive={tmp_path}") == errors.ConfigError.exit_code
  assert "--archive: given with --dry_run" in capsys.readouterr().err
  assert run(laptop, "--config.steps=0", "--dry_run") == errors.ConfigError.exit_code
  assert capsys.readouterr().err.count("expected") == 1


def test_status_and_report_need_no_tensorflow(tmp_path):
  """Of a study that is there, to the end; what each imports is imported by then."""
  plan_file = stored_plan.of(plan.Plan([plan.Run("a", "a.py")]), 1)
  stored_plan.write(tmp_path, plan_file)
  for module, flags in (("study", ["--status", f"--workdir={tmp_path}"]), ("report", [
      "--study=experiments/results/equal_epochs", f"--output={tmp_path}/report"])):
    code = ("import sys\n"
            f"from jft_reps.apps import command_line, {module}\n"
            f"code = command_line.run({module}.main, {[module, *flags]!r})\n"
            "print(code, {'tensorflow', 'tf_keras', 'keras'} & sys.modules.keys())")
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 set()", done.stderr
  assert (tmp_path / "report" / "report.html").is_file()


def test_an_unknown_kind_of_run_is_named(tmp_path):
  with pytest.raises(errors.ConfigError, match="nonsense"):
    kinds.make(plan.Run("a", "experiments/fig3_pretraining.py:random", kind="nonsense"),
                    tmp_path)


def test_an_interruption_changes_no_evaluated_step(tmp_path, monkeypatch):
  """A run that was asked to end leaves a checkpoint between the planned ones."""
  left = [0, 250, 500, 617, 750, 1000, 1250, 1500]

  def trained(config):
    assert config.train.keep >= len(left)
  from jft_reps.training.run_directory import checkpoints
  from jft_reps.workflows import training
  monkeypatch.setattr(training, "train", trained)
  monkeypatch.setattr(checkpoints, "committed", lambda _: left)
  monkeypatch.setattr(kinds, "Judge", lambda config: lambda path: judges.Judged(
      {"mAP": float(str(path).rpartition("-")[2])}, {}, ""))
  run = plan.resolved(planned("experiments/paper.py:laptop", steps="1500")["pretrain_clean_s0"],
                      lambda name: tmp_path)
  numbers = kinds.make(run, tmp_path)
  assert numbers == {"mAP": 1500.0, **{f"mAP at step {step}": float(step)
                                       for step in left if step != 617}}


def test_the_full_plan_becomes_jobs_that_a_study_can_gather(tmp_path, capsys):
  from jft_reps.apps import command_line
  assert command_line.run(study.main, [
      "study", "--plan=experiments/paper.py:table2_coco,full", f"--workdir={tmp_path}",
      "--image=registry/jft:1", "--claim=disk", "--data_claim=pictures",
      "--config.tasks.detect.test=val"]) == 0
  out = capsys.readouterr().out
  assert "transfer → transfer: 1" in out and "pretrain → transfer: 2" in out
  assert "classify_random_s0" in out and "pretrain_clean_s0" not in out  # one and the same
  rows = [line.split() for line in out.splitlines()]
  assert ["pretrain_noisy300000000_s0", "pretrain", "50", "17", "36,000,000", "7.20", "60.0",
          "72,000"] in rows
  assert ["detect_random_s0", "transfer", "9", "11", "3,000,000", "4.53", "17.5", "3,777"] in rows
  folders = {f.name.partition("-s0-")[0]: f for f in (tmp_path / "jobs").iterdir()}
  detect, pretrain = folders["detect-noisy300000000"], folders["pretrain-noisy300000000"]
  tasks = json.loads((detect / "tf_config.json").read_text())
  roles = [task["role"] for task in tasks]
  assert [roles.count(r) for r in ("chief", "worker", "ps", "evaluator")] == [1, 9, 11, 1]
  start, run = (run_files.read_run(f) for f in (pretrain, detect))
  assert start.overrides["train.keep_steps"] == [12_000_000, 24_000_000, 36_000_000]
  where = run.overrides["init.checkpoint"]
  stored = json.loads((tmp_path / "jobs" / "plan.json").read_text())
  assert stored["plan"] == "experiments/paper.py:table2_coco,full"
  assert stored["overrides"] == {"tasks.detect.test": "val"}
  assert {f"/study/runs/{r['id']}" for r in stored["runs"] if r["name"] == start.name} == {where}
  command = (detect / "command.txt").read_text()
  assert f"--config.init.checkpoint={where} " in command and "study." not in command
  assert "--workdir=/study/runs/" in command and "/run " in command
  assert f"--after={where}" in command and "--after" not in (pretrain / "command.txt").read_text()
  assert "'--config.task.eval_splits=[\"val\"]'" in command
  for path in (tmp_path / "jobs").glob("*/manifest.yaml"):
    text = path.read_text()
    assert text.count("\nkind: \"Job\"\n") == text.count("mountPath: \"/data\"") == 4
    assert text.count("claimName: \"disk\"") == text.count("claimName: \"pictures\"") == 4


def start(workdir):
  environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(_ROOT)}
  return subprocess.Popen(
      [sys.executable, "-m", "jft_reps.apps.study", "--plan=experiments/paper.py:fig4_data_size,"
       "laptop", f"--workdir={workdir}", "--jobs=2", "--select=detect_noisy60_s0", *_TINY],
      cwd=_ROOT, env=environment, stderr=subprocess.DEVNULL,
      stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_ten_kills_leave_the_same_set_of_results(tmp_path):
  rng = random.Random(5)
  assert start(tmp_path / "whole").wait(timeout=400) == 0
  kills, deadline = 0, time.monotonic() + 600
  while kills < 10 and time.monotonic() < deadline:
    runner = start(tmp_path / "killed")
    time.sleep(rng.uniform(1, 6))
    if runner.poll() is not None:
      break
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    kills += 1
  assert start(tmp_path / "killed").wait(timeout=400) == 0
  results = {}
  for name in ("whole", "killed"):
    records = ledger.read(tmp_path / name)
    assert {record.status for record in records.values()} == {"done"}
    results[name] = {id: record.numbers for id, record in records.items()}
    for id in records:
      assert run_files.read_numbers(tmp_path / name / "runs" / id) == records[id].numbers
  assert kills == 10 and len(results["whole"]) == 5
  assert results["whole"] == results["killed"]  # to the last bit
  sizes = [n["pictures train_60"] for n in results["killed"].values() if "pictures train_60" in n]
  assert sizes == [60.0]
  assert not list((tmp_path / "killed" / "runs").glob("*/*.partial"))
