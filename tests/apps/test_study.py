"""The program that runs plans, and what its runs do, on tiny generated worlds."""

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from experiments import paper
from jft_reps import errors
from jft_reps.apps import study, study_runs
from jft_reps.data import manifest
from jft_reps.studies import ledger, plan, run_files

_ROOT = pathlib.Path(__file__).parents[2]
_TINY = (
    "--config.pictures=60,240", "--config.fewer_labels_pictures=60", "--config.clean_pictures=40",
    "--config.steps=12", "--config.tasks.detect.steps=4")


def planned(reference, **overrides):
  return study.read_plan(reference, overrides)[0]


def test_every_start_of_the_paper_reaches_every_task():
  whole = planned("experiments/paper.py:laptop")
  found = {(run.tags["task"], run.tags["start"], run.tags["frozen"], run.tags["times"])
           for run in whole if run.kind == "transfer"}
  for task in ("detect", "segment", "pose"):
    for start in ("random", "clean", "noisy", "clean+noisy"):
      assert (task, start, "fine-tuned", 1) in found
    assert (task, "random", "fine-tuned", 3) in found
  assert {s for t, s, *_ in found if t == "classify"} == {"random", "clean", "noisy"}
  sizes = {(run.tags["pictures"], run.tags["frozen"]) for run in whole
           if run.tags.get("task") == "detect" and run.tags["start"] == "noisy"
           and run.tags["depth"] == "base" and run.tags["labels"] == "all"}
  assert sizes == {(n, f) for n in (320, 1000, 3200, 10_000) for f in ("fine-tuned", "frozen")}


def test_the_miniature_has_five_seeds_that_share_only_rates_and_parts_share_all():
  seeds, ids = {}, planned("experiments/paper.py:miniature")
  for run in ids:
    seeds.setdefault(run.tags["seed"], set()).add(ids.ids()[run.name])
    assert {ids[name].tags["seed"] for name in run.needed_files()} <= {run.tags["seed"]}
    rated = run.kind == "transfer" and run.tags["seed"] > 0
    assert (run.overrides.get("study.rate_of") ==
            (plan.Output(run.name[:-1] + "0", "numbers.json") if rated else None))
  assert sorted(seeds) == [0, 1, 2, 3, 4]
  assert len(set.union(*seeds.values())) == sum(map(len, seeds.values()))
  whole = set(ids.ids().values())
  for part in paper.get_config("miniature").parts:
    assert set(planned(f"experiments/paper.py:{part},miniature").ids().values()) <= whole


def test_starts_of_one_task_see_the_same_pictures_and_rates():
  whole = planned("experiments/paper.py:table2_coco,miniature")
  runs = [run for run in whole if run.kind == "transfer" and run.tags["seed"] == 0]
  for key in ("task.records", "task.train_split", "study.rates", "study.dev", "study.test",
              "study.number"):
    assert len({repr(run.overrides[key]) for run in runs}) == 1
  steps = {run.name: run.overrides["train.steps"] for run in runs}
  assert steps.pop("detect_random_3x_s0") == 3 * steps["detect_random_s0"]
  assert len(set(steps.values())) == 1


def test_own_records_take_the_place_of_the_generated_ones():
  own = planned("experiments/paper.py:fig4_data_size,laptop", **{
      "data": "/my/records", "hierarchy": "/my/tree.csv", "pictures": "100,1000",
      "tasks.detect.records": "/my/boxes", "tasks.detect.train": "a", "tasks.detect.dev": "b",
      "tasks.detect.test": "c", "seeds": "2"})
  records = [run for run in own if run.kind == "records"]
  assert [r.overrides["task.records"] for r in records] == ["/my/records"]
  assert records[0].overrides["study.subsets"] == {"train_100": 100, "train_1000": 1000}
  for run in own:
    if run.kind == "pretrain":
      assert run.overrides["task.records"] == "/my/records"
      assert run.overrides["task.hierarchy"] == "/my/tree.csv"
      assert run.overrides["task.train_split"] == f"train_{run.tags['pictures']}"
      assert run.overrides["task.noise.wrong"] == 0.0
    if run.kind == "transfer":
      assert (run.overrides["task.records"], run.overrides["task.train_split"]) == (
          "/my/boxes", "a")


@pytest.mark.parametrize("sizes", ["100,300,1000", "320,1000,3200", "3000,10000"])
def test_every_split_that_is_trained_on_is_made_and_every_arm_is_found(sizes):
  whole = planned("experiments/paper.py:laptop", pictures=sizes, data="/my/records", seeds="2",
                  **{"clean.records": "/my/clean", "clean.train": "a", "clean.dev": "b"})
  [records] = [r for r in whole if r.kind == "records" and "study.subsets" in r.overrides]
  made = {*records.overrides["study.subsets"], *records.overrides["study.classes"]}
  trained = {r.overrides["task.train_split"] for r in whole
             if r.kind == "pretrain" and r.overrides["task.records"] == "/my/records"}
  assert trained <= made
  assert {r.overrides["task.train_split"] for r in whole
          if r.overrides.get("task.records") == "/my/clean"} == {"a"}
  for size in ("largest", "fewer"):
    found = {r.tags["pictures"] for r in whole if r.matches({"task": "detect", "size": size})}
    assert found == {sorted(map(int, sizes.split(",")))[-1 if size == "largest" else -2]}


@pytest.mark.parametrize("key, value, message", [
    ("pictures", "0,100", "pictures"), ("pictures", "100", "two or more"),
    ("pictures", "abc", "abc"), ("pictures", "100,100", "different"), ("seeds", "0", "at least 1"),
    ("protocol", "foo", "steps or epochs"), ("noise.standard", "3", "0 to 1"),
    ("evaluation", "", "name of a split"), ("tasks.detect.rates", "0.1,-1", "positive")])
def test_a_value_that_no_study_can_have_is_told_before_it_starts(key, value, message):
  with pytest.raises(errors.ConfigError, match=message):
    planned("experiments/paper.py:laptop", **{key: value})


def test_splits_that_own_records_lack_are_told_before_it_starts(tmp_path):
  for split in ("train", "val"):
    (tmp_path / f"manifest-{split}.json").write_text("{}")
  with pytest.raises(errors.ConfigError, match="'fasteval'; it has train, val"):
    planned("experiments/paper.py:laptop", data=str(tmp_path))
  with pytest.raises(errors.ConfigError, match="tasks.detect.records.*'boxes_train'"):
    planned("experiments/paper.py:laptop", **{"tasks.detect.records": str(tmp_path)})


def test_the_full_plan_has_the_papers_steps():
  full = planned("experiments/paper.py:full")
  steps = {run.tags["pictures"]: run.overrides["train.steps"] for run in full
           if run.kind == "pretrain" and run.tags["start"] == "noisy"}
  assert steps == {300_000_000: 36_000_000, 100_000_000: 12_000_000, 30_000_000: 3_600_000,
                   10_000_000: 1_200_000}
  assert not any("laptop" in run.config for run in full)
  assert not any(run.tags.get("times") == 3 for run in full)


@pytest.mark.parametrize("reference, message", [
    ("experiments/paper.py:fig9,laptop", "fig9"),
    ("experiments/paper.py:table3_voc,laptop", "full size alone"),
    ("experiments/paper.py:tiny", "tiny"),
    ("experiments/none.py:laptop", "no such file"),
    ("experiments/table2_coco.py:300M", r"no function plan\(config\)")])
def test_what_is_no_plan_is_named(reference, message):
  with pytest.raises(errors.ConfigError, match=message):
    study.read_plan(reference)


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
  assert "plan.json" in capsys.readouterr().err


def test_an_unknown_kind_of_run_is_named(tmp_path):
  with pytest.raises(errors.ConfigError, match="nonsense"):
    study_runs.make(plan.Run("a", "experiments/fig3_pretraining.py:random", kind="nonsense"),
                    tmp_path)


def test_records_and_their_nested_subsets(tmp_path):
  whole = planned("experiments/paper.py:fig4_data_size,laptop", **{
      "pictures": "20,60,200", "fewer_labels_pictures": "30"})
  run = plan.resolved(whole["records_s0"], lambda name: tmp_path)
  for _ in range(2):  # a second time over what a kill left
    numbers = study_runs.make(run, tmp_path)
  assert numbers["pictures train_20"] == 20 and numbers["pictures train"] == 200
  sets = {name: manifest.read(tmp_path / "records", name)
          for name in ("train_20", "train_60", "train", "train_fewer_30")}
  assert [sets[n].records for n in sets] == [20, 60, 200, 30]
  below = [sets[n].metadata["subset"]["below"] for n in ("train_20", "train_60")]
  assert below[0] < below[1] < 1
  classes = (tmp_path / "classes.txt").read_text().split()
  assert len(classes) == 120 and len(set(classes)) == 120
  assert sets["train_fewer_30"].metadata["subset"]["classes"] == 120


def test_the_rate_is_chosen_on_the_development_split(tmp_path, monkeypatch):
  """Made-up numbers: one rate diverges, the better of the others is tested once."""
  tried, judged = [], []
  values = {0.1: 0.3, 0.2: 0.5}

  def trained(config):
    tried.append(config.schedule.initial)
    if config.schedule.initial == 0.4:
      raise errors.NumericError("not-finite", "here", "nan", "a number")

  def judge(rate, split):
    judged.append((rate, split))
    value = values[rate] - 0.1 * (split == "test")
    return study_runs.Judged({"coco/pictures": 9.0, "coco/AP50": value}, {"AP": {"cat": 1.0}},
                             "a definition")

  from jft_reps.apps import train
  monkeypatch.setattr(train, "train", trained)
  monkeypatch.setattr(study_runs, "TransferJudge", lambda run, directory: judge)
  whole = planned("experiments/paper.py:table2_coco,miniature")
  run = plan.resolved(whole["detect_random_s0"], lambda name: tmp_path)
  overrides = {**run.overrides, "study.rates": [0.1, 0.2, 0.4]}
  run = plan.Run(run.name, run.config, overrides, kind=run.kind)
  numbers = study_runs.make(run, tmp_path)
  assert tried == [0.1, 0.2, 0.4]
  assert judged == [(0.1, "dev"), (0.2, "dev"), (0.2, "test")]
  assert numbers["coco/AP50"] == pytest.approx(0.4) and numbers["rate"] == 0.2
  assert numbers["dev coco/AP50"] == 0.5 and numbers["dev coco/AP50 at rate 0.4"] is None
  assert json.loads((tmp_path / "classes.json").read_text()) == {"AP": {"cat": 1.0}}
  tried.clear()
  study_runs.make(run, tmp_path)  # a kill before the test: no rate is trained again
  assert tried == []
  nameless = plan.Run(run.name, run.config, {**overrides, "study.number": "coco/AP5"},
                      kind=run.kind)
  with pytest.raises(errors.ConfigError, match="coco/AP5'.*coco/pictures, coco/AP50"):
    study_runs.make(nameless, tmp_path)
  monkeypatch.setattr(study_runs, "_tuned", lambda *_: {})
  with pytest.raises(errors.DataError, match="diverged"):
    study_runs.make(run, tmp_path)


def test_other_seeds_take_the_rate_of_the_first(tmp_path, monkeypatch):
  rates, judged = [], []
  from jft_reps.apps import train
  monkeypatch.setattr(train, "train", lambda config: rates.append(config.schedule.initial))
  monkeypatch.setattr(study_runs, "TransferJudge", lambda run, directory: lambda *args: (
      judged.append(args) or study_runs.Judged({"coco/AP50": 0.5}, {}, "")))
  whole = planned("experiments/paper.py:table2_coco,miniature")
  run_files.write_numbers(tmp_path, {"coco/AP50": 0.3, "rate": 0.02})
  run = plan.resolved(whole["detect_random_s3"], lambda name: tmp_path)
  numbers = study_runs.make(run, tmp_path)
  assert rates == [0.02] and judged == [(0.02, "test")]
  assert numbers == {"coco/AP50": 0.5, "rate": 0.02}


def test_an_interruption_changes_no_evaluated_step(tmp_path, monkeypatch):
  """A run that was asked to end leaves a checkpoint between the planned ones."""
  left = [0, 250, 500, 617, 750, 1000, 1250, 1500]

  def trained(config):
    assert config.train.keep >= len(left)
  from jft_reps.apps import train
  from jft_reps.training import checkpoints
  monkeypatch.setattr(train, "train", trained)
  monkeypatch.setattr(checkpoints, "committed", lambda _: left)
  monkeypatch.setattr(study_runs, "Judge", lambda config: lambda path: study_runs.Judged(
      {"mAP": float(str(path).rpartition("-")[2])}, {}, ""))
  run = plan.resolved(planned("experiments/paper.py:laptop", steps="1500")["pretrain_clean_s0"],
                      lambda name: tmp_path)
  numbers = study_runs.make(run, tmp_path)
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
          "72,000", "←", "records"] in rows
  assert ["detect_random_s0", "transfer", "9", "11", "3,000,000", "4.53", "17.5", "3,777"] in rows
  assert ["records", "records", "one", "process"] in rows
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
  assert "'--config.task.eval_splits=[\"val\"]'" in command
  for path in (tmp_path / "jobs").glob("*/manifest.yaml"):
    text = path.read_text()
    assert text.count("\nkind: \"Job\"\n") == text.count("mountPath: \"/data\"") == 4
    assert text.count("claimName: \"disk\"") == text.count("claimName: \"pictures\"") == 4
  assert run_files.read_run(folders["records"]).kind == "records"
  assert not (folders["records"] / "manifest.yaml").exists()


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
  assert kills == 10 and len(results["whole"]) == 4
  assert results["whole"] == results["killed"]  # to the last bit
  sizes = [n["pictures train_60"] for n in results["killed"].values() if "pictures train_60" in n]
  assert sizes == [60.0]
  with contextlib.suppress(StopIteration):
    assert not next((tmp_path / "killed" / "runs").glob("*/numbers.json.tmp*"))
