"""Progress from plan and ledger alone."""

from __future__ import annotations

import json

import pytest

from jft_reps.errors import DataError
from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.running import ledger, progress, stored_plan

_PLAN = Plan([Run("p1", "p1", kind="p", cost=10), Run("p2", "p2", kind="p", cost=30),
              Run("t1", "t1", needs=["p1"], kind="t", cost=5),
              Run("t2", "t2", needs=["p2"], kind="t", cost=5),
              Run("u2", "u2", needs=["t2"], kind="t", cost=5)])
_IDS = _PLAN.ids()


def _records(**status: tuple[str, float | None]) -> dict[str, ledger.Record]:
  return {_IDS[name]: ledger.Record(s, 0.0, seconds=t, reason="why")
          for name, (s, t) in status.items()}


def test_every_run_is_in_one_state():
  state = progress.progress(_PLAN, _records(p1=("done", 20.0), p2=("failed", 1.0)), 1,
                            {_IDS["t1"]: 3.0})
  assert (state.done, state.running, list(state.failed)) == (["p1"], {"t1": 3.0}, ["p2"])
  assert state.blocked == {"t2": "p2", "u2": "p2"} and state.left == []
  assert state.counts().startswith("1 of 5 done, 1 running, 1 failed, 2 blocked, about")
  assert state.lines()[:3] == ["failed   p2  why", "blocked  t2  by p2", "blocked  u2  by p2"]


def test_runs_to_be_tried_again_block_nothing():
  state = progress.progress(_PLAN, _records(p2=("killed", 1.0)), 1, {}, frozenset([_IDS["p2"]]))
  assert not state.failed and not state.blocked and len(state.left) == 5


def test_time_left_is_by_costs_then_by_what_was_measured():
  left = lambda jobs, running=(), **records: progress.progress(
      _PLAN, _records(**records), jobs, dict(running)).seconds_left
  assert left(1) == 55
  # Kind p takes twice its costs; t is not measured and corrected alike: 60 + 3 · 10.
  assert left(1, p1=("done", 20.0)) == pytest.approx(90)
  assert left(2, p1=("done", 20.0)) == pytest.approx(80)
  # t1 took thrice its cost, p2 has run for 25 of its 60 seconds.
  assert left(1, [(_IDS["p2"], 25.0)], p1=("done", 20.0), t1=("done", 15.0)) == pytest.approx(65)


def test_time_left_without_costs_is_by_the_mean_of_the_kind_or_unknown():
  plan = Plan([Run(name, name, kind=name[0]) for name in ("a1", "a2", "a3", "b1")])
  ids = plan.ids()
  records = {ids[n]: ledger.Record("done", 0.0, seconds=s) for n, s in (("a1", 2.0), ("a2", 4.0))}
  assert "time left unknown" in progress.progress(plan, records, 1, {}).counts()
  records[ids["b1"]] = ledger.Record("done", 0.0, seconds=9.0)
  assert progress.progress(plan, records, 1, {}).seconds_left == pytest.approx(3)


def test_status_is_read_from_the_directory(tmp_path):
  with pytest.raises(DataError, match=r"\[plan-file\].*plan\.json: there is none"):
    progress.status(tmp_path)
  stored_plan.write(tmp_path, stored_plan.of(_PLAN, 2))
  book = ledger.Ledger(tmp_path)
  book.append(_IDS["p1"], "done", seconds=10.0)
  book.append(_IDS["t1"], "started")
  with ledger.alone(tmp_path):
    assert list(progress.status(tmp_path).running) == ["t1"]
  dead = progress.status(tmp_path)
  assert dead.running == {} and set(dead.left) == {"p2", "t1", "t2", "u2"} and dead.done == ["p1"]
  (tmp_path / "plan.json").write_text(json.dumps({"jobs": 1, "time": 0, "runs": [{"name": 3}]}))
  with pytest.raises(DataError, match=r"\[plan-file\]"):
    progress.status(tmp_path)
