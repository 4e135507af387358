"""Directories of which something is gone, studies that go on elsewhere, plans of other sittings."""

from __future__ import annotations

import shutil

import pytest

from jft_reps.errors import DataError
from jft_reps.studies.plan import Output, Plan, Run
from jft_reps.studies.running import (
  archive,
  ledger,
  progress,
  results,
  run_files,
  runner,
  stored_plan,
)
from tests.studies.running.test_runner import _add, _command, _diamond, _events


def _starts(workdir, plan: Plan) -> dict[str, int]:
  """How often each run was started, by name."""
  return {name: _events(workdir, id).count("started") for name, id in plan.ids().items()}


def _and_after() -> Plan:
  """The diamond, and a run that needs a file of `left`."""
  return Plan([*_diamond(), Run("after", _add(), {"a": Output("left", "x.json")})])


def test_what_is_gone_is_made_again_only_where_something_left_needs_it(tmp_path):
  runner.run(_diamond(), tmp_path, _command)
  ids = _diamond().ids()
  for name in ("top", "left", "alone"):
    shutil.rmtree(runner.directory(tmp_path, ids[name]))
  assert len(runner.run(_diamond(), tmp_path, _command).done) == 5  # nothing is left to need them
  grown = _and_after()
  assert len(runner.run(grown, tmp_path, _command).done) == 6
  assert runner.numbers(grown, tmp_path)["after"] == {"x": 3}
  assert _starts(tmp_path, grown) == {
      "top": 2, "left": 2, "right": 1, "bottom": 1, "alone": 1, "after": 1}


def test_numbers_that_a_run_needs_are_there_though_nothing_is_made_again(tmp_path):
  runner.run(_diamond(), tmp_path, _command)
  ids = _diamond().ids()
  shutil.rmtree(tmp_path / "runs")
  grown = Plan([*_diamond(), Run("sum", _add(), {"a": Output("bottom", "numbers.json")})])
  assert len(runner.run(grown, tmp_path, _command).done) == 6
  assert runner.numbers(grown, tmp_path)["sum"] == {"x": 6}
  assert all(_events(tmp_path, id) == ["started", "done"] for id in ids.values())
  last = Plan([*grown, Run("file", _add(), {"a": Output("bottom", "x.json")})])
  assert len(runner.run(last, tmp_path, _command).done) == 7  # now with all that it stands on
  assert _starts(tmp_path, last) == {
      "top": 2, "left": 2, "right": 2, "bottom": 2, "alone": 1, "sum": 1, "file": 1}


def test_a_study_goes_on_from_what_is_done_elsewhere(tmp_path):
  runner.run(_diamond(), tmp_path / "first", _command)
  study = results.of_directory(tmp_path / "first")
  archive.write(tmp_path / "kept", study)
  kept = archive.read(tmp_path / "kept").results
  some = [r for r in kept if r.run.name not in ("right", "bottom")]
  state = runner.run(_diamond(), tmp_path / "second", _command, elsewhere=some)
  assert len(state.done) == 5
  numbers = runner.numbers(_diamond(), tmp_path / "second")
  assert numbers == runner.numbers(_diamond(), tmp_path / "first")
  made = {name: _events(tmp_path / "second", id) for name, id in _diamond().ids().items()}
  again = ["done", "started", "done"]
  assert made == {"top": again, "left": again, "right": again[1:], "bottom": again[1:],
                  "alone": ["done"]}


@pytest.mark.parametrize("end, made", [("started", 1), ("failed", 0)])
def test_what_a_kill_left_half_made_is_not_taken_for_what_is_done_elsewhere(tmp_path, end, made):
  runner.run(_diamond(), tmp_path / "first", _command)
  top = [r for r in results.of_directory(tmp_path / "first").results if r.run.name == "top"]
  id = _diamond().ids()["top"]
  place = runner.directory(tmp_path / "second", id)
  place.mkdir(parents=True)
  book = ledger.Ledger(tmp_path / "second")
  book.append(id, "done", numbers={"x": 1.0})
  book.append(id, "started")
  run_files.write_run(place, _diamond()["top"])
  (place / "x.json").write_text('{"x": 70}')
  if end == "failed":
    book.append(id, "failed", reason="no space")
  state = runner.run(_diamond(), tmp_path / "second", _command, elsewhere=top)
  assert _events(tmp_path / "second", id).count("started") == 1 + made
  if made:
    assert runner.numbers(_diamond(), tmp_path / "second")["bottom"] == {"x": 5}
  else:
    assert state.done == ["alone"] and set(state.blocked) == {"left", "right", "bottom"}


def test_a_part_that_is_run_again_takes_nothing_out_of_the_report(tmp_path):
  runner.run(_diamond(), tmp_path, _command)
  part = _diamond().select(["left"])
  state = runner.run(part, tmp_path, _command, whole=_diamond())
  assert state.counts() == "2 of 2 done" == progress.status(tmp_path).counts()
  for _ in range(2):
    study = results.of_directory(tmp_path)
    assert sorted((r.run.name, r.status) for r in study.results) == sorted(
        (run.name, "done") for run in _diamond())
    assert study.planned == 5 and not study.notes
    runner.run(part, tmp_path, _command, whole=_diamond())


def test_runs_of_another_configuration_are_not_shown(tmp_path):
  """One plan, whose top was edited after a first sitting; then a part of it is run."""
  runner.run(_diamond(), tmp_path, _command, source=stored_plan.PlanSource(overrides={"x": "1"}))
  edited = _diamond("commit(x=5)")
  for _ in range(2):
    runner.run(edited.select(["left", "alone"]), tmp_path, _command, whole=edited)
    study = results.of_directory(tmp_path)
    assert {r.run.name: r.numbers.get("x") for r in study.results} == {
        "top": 5.0, "left": 6.0, "alone": None}
    assert study.planned == 5 and not study.overrides
    assert "4 runs of other configurations" in study.notes[0]
  for plan, count in ((_diamond(), 2), (edited.select(["left", "alone"]), 4)):  # there and back
    runner.run(plan, tmp_path, _command, whole=edited if count == 4 else None)
    (note,) = results.of_directory(tmp_path).notes
    assert f" {count} runs of other configurations" in note


def test_a_damaged_plan_file_is_named_and_stays(tmp_path):
  runner.run(_diamond(), tmp_path, _command)
  (tmp_path / "plan.json").write_text('{"runs": [{"name": 1}]}')
  with pytest.raises(DataError, match="plan.json"):
    runner.run(_diamond(), tmp_path, _command)
  assert (tmp_path / "plan.json").read_text() == '{"runs": [{"name": 1}]}'


@pytest.mark.parametrize("file", ["numbers.json", "run.json"])
def test_a_directory_of_which_a_part_is_gone_is_made_again(tmp_path, file):
  runner.run(_diamond(), tmp_path, _command)
  (runner.directory(tmp_path, _diamond().ids()["left"]) / file).unlink()
  grown = _and_after()
  assert len(runner.run(grown, tmp_path, _command).done) == 6
  assert runner.numbers(grown, tmp_path)["after"] == {"x": 3}
  assert _starts(tmp_path, grown) == {
      "top": 1, "left": 2, "right": 1, "bottom": 1, "alone": 1, "after": 1}
