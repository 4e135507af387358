"""Study directories, finished or not, damaged or hostile, are read to what they do say."""

from __future__ import annotations

import json
import os
import pathlib
import random

import pytest

from jft_reps.errors import DataError, JftError
from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.running import results as report_runs
from jft_reps.studies.running import runner


def write_study(directory, runs, plan="plan.py:laptop") -> pathlib.Path:
  """A made-up study.

  Args:
    directory: of the study.
    runs: (tags, numbers) of runs that are done; text in place of numbers is why one failed, None:
      it is left. A third element holds files of the run's directory.
    plan: that it names.
  """
  directory = pathlib.Path(directory)
  planned, lines = [], []
  for i, (tags, outcome, *files) in enumerate(runs):
    id, name = f"{i:012x}", f"run_{i}"
    planned.append({"id": id, "name": name, "kind": "k", "cost": 1.0, "needs": [], "config": "c",
                    "tags": tags})
    about = {"id": id, "name": name, "kind": "k", "time": float(i)}
    if isinstance(outcome, str):
      lines.append({**about, "status": "failed", "reason": outcome})
    elif outcome is not None:
      lines.append({**about, "status": "done", "numbers": outcome})
    (directory / "runs" / id).mkdir(parents=True)
    for file, content in (files[0] if files else {}).items():
      (directory / "runs" / id / file).write_text(json.dumps(content))
  content = {"plan": plan, "jobs": 1, "time": 0.0, "runs": planned}
  (directory / "plan.json").write_text(json.dumps(content))
  (directory / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  return directory


def _edit(directory, change):
  path = directory / "plan.json"
  content = json.loads(path.read_text())
  change(content)
  path.write_text(json.dumps(content))


def test_a_study_that_was_run_is_read(tmp_path):
  program = 'import os; os.replace(".n", "numbers.json")'
  plan = Plan([Run("good", program, tags={"seed": 3}), Run("bad", "raise SystemExit('no data')"),
               Run("after", program, needs=("bad",)), Run("last", program, needs=("after",))])

  def command(run, directory):
    (directory / ".n").write_text('{"x": 0.5, "y": null}')
    return ["python3", "-I", "-S", "-c", f"import os; os.chdir({str(directory)!r}); {run.config}"]

  runner.run(plan, tmp_path, command)
  results = {r.run.name: r for r in report_runs.of_directory(tmp_path).results}
  assert {name: r.status for name, r in results.items()} == {
      "good": "done", "bad": "failed", "after": "blocked", "last": "blocked"}
  assert results["good"].numbers == {"x": 0.5, "y": None}
  assert results["bad"].reason == "failed: exit code 1: no data" and results["last"].reason == "bad"
  assert report_runs.counts(results.values()) == (
      "1 of 4 runs done, 1 failed, 2 waiting for a failed one")


def test_what_a_runner_did_not_live_to_write_down_is_taken_from_the_directory(tmp_path):
  study = write_study(tmp_path, [({}, None, {"numbers.json": {"x": 1.5}}),
                                 ({}, None, {"numbers.json": {"x": "much"}}), ({}, None)])
  first, second, third = report_runs.of_directory(study).results
  assert (first.status, first.numbers) == ("done", {"x": 1.5})
  assert second.status == "failed" and "'x' is" not in second.reason and "x is" in second.reason
  assert third.status == "left"


def test_two_directories_are_one_study(tmp_path):
  a = write_study(tmp_path / "a", [({}, {"x": 1.0}), ({}, None)])
  b = write_study(tmp_path / "b", [({}, None), ({}, {"x": 2.0}), ({}, {"x": 3.0})], "other.py")
  study = report_runs.merged(map(report_runs.of_directory, [a, b]))
  assert [r.numbers["x"] for r in study.results] == [1.0, 2.0, 3.0]
  assert study.plan == "plan.py:laptop" and "other.py" in study.notes[0]


def test_a_truncated_ledger_loses_only_its_last_line(tmp_path):
  study = write_study(tmp_path, [({}, {"x": 1.0}), ({}, {"x": 2.0})])
  ledger = study / "ledger.jsonl"
  ledger.write_bytes(ledger.read_bytes()[:-20])
  assert [r.status for r in report_runs.of_directory(study).results] == ["done", "left"]


def test_numbers_that_are_none_are_counted(tmp_path):
  study = write_study(tmp_path, [({}, {"x": "0.5", "y": True, "z": 1, "n": None, "big": 10**400})])
  found = report_runs.of_directory(study)
  assert found.results[0].numbers == {"z": 1.0, "n": None, "big": None}
  assert found.notes == ["Run run_0: 2 numbers left out that are none, as x."]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"runs": 3}', '{"runs": [{"id": "a"}]}',
                                     "[" * 100_000, '{"runs": [1]}', "\x00"])
def test_no_plan_is_an_error_that_names_the_file(tmp_path, content):
  (tmp_path / "plan.json").write_text(content)
  with pytest.raises(DataError, match="plan.json"):
    report_runs.of_directory(tmp_path)


@pytest.mark.parametrize("name", ["plan.json", "ledger.jsonl"])
def test_a_file_cut_or_damaged_anywhere_gives_an_error_or_fewer_runs(tmp_path, name):
  study = write_study(tmp_path, [({"seed": i}, {"x": 0.5, "n": None}) for i in range(3)])
  whole, rng = (study / name).read_bytes(), random.Random(0)
  for at in range(0, len(whole), 3):
    damaged = bytearray(whole)
    damaged[at] = rng.randrange(256)
    for content in (whole[:at], bytes(damaged)):
      (study / name).write_bytes(content)
      try:
        results = report_runs.of_directory(study).results
      except JftError as error:
        assert str(study / name) in str(error)
        continue
      assert sum(r.status == "done" for r in results) <= 3


@pytest.mark.parametrize("id", ["../../etc", "/etc", "", ".", 7, "a" * 300])
def test_ids_stay_inside(tmp_path, id):
  study = write_study(tmp_path, [({}, {"x": 1.0})])
  _edit(study, lambda content: content["runs"][0].update(id=id))
  with pytest.raises(DataError, match="id is"):
    report_runs.of_directory(study)


def test_pipes_do_not_hang(tmp_path):
  study = write_study(tmp_path / "a", [({}, {"x": 1.0})])
  os.mkfifo(study / "runs" / f"{0:012x}" / "classes.json")
  with pytest.raises(DataError, match="no plain file"):
    report_runs.of_directory(study).results[0].file("classes.json")
  (study / "ledger.jsonl").unlink()
  os.mkfifo(study / "ledger.jsonl")
  with pytest.raises(DataError, match="ledger"):
    report_runs.of_directory(study)
  (study / "ledger.jsonl").unlink()
  os.mkfifo(study / "lock")
  os.mkfifo(study / "runs" / f"{0:012x}" / "numbers.json")
  assert [r.status for r in report_runs.of_directory(study).results] == ["left"]
  with pytest.raises(DataError, match="there is none"):
    report_runs.of_directory(tmp_path / "nowhere")
