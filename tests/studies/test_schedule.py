"""Estimates against graphs whose times are plain to see, and against bounds."""

from __future__ import annotations

import random

import pytest

from jft_reps.studies import schedule
from jft_reps.studies.plan import Output, Plan, Run


def test_the_time_of_a_diamond():
  plan = Plan([Run("a", "a", cost=10), Run("b", "b", needs=["a"], cost=20),
               Run("c", "c", needs=["a"], cost=5), Run("d", "d", needs=["b", "c"], cost=1)])
  one, two = schedule.estimate(plan, 1), schedule.estimate(plan, 2)
  assert (one.total, one.critical, one.elapsed, one.unknown) == (36, 31, 36, 0)
  assert two.elapsed == 31
  assert schedule.chain_lengths(plan, {"a": 10, "b": 20, "c": 5, "d": 1}) == {
      "a": 31, "b": 21, "c": 6, "d": 1}


def test_the_longest_chain_goes_first():
  plan = Plan([*(Run(f"s{i}", str(i), cost=1) for i in range(6)), Run("l", "l", cost=6)])
  assert schedule.estimate(plan, 2).elapsed == 6


@pytest.mark.parametrize("seed", range(20))
def test_elapsed_time_lies_between_its_bounds(seed):
  """Graham 1966: list scheduling ends by total/jobs + (1 − 1/jobs) · critical."""
  rng = random.Random(seed)
  plan = Plan(Run(str(i), str(i), needs=[str(j) for j in range(i) if rng.random() < 0.15],
                  cost=rng.uniform(0.1, 5)) for i in range(30))
  for jobs in (1, 2, 3, 8):
    found = schedule.estimate(plan, jobs)
    least = max(found.critical, found.total / jobs)
    most = found.total / jobs + (1 - 1 / jobs) * found.critical
    assert least - 1e-9 <= found.elapsed <= most + 1e-9


def test_runs_that_do_the_same_count_once():
  plan = Plan([Run("a", "x", cost=4), Run("b", "x", cost=4), Run("c", "t", {"i": Output("b")})])
  found = schedule.estimate(plan, 2)
  assert (found.total, found.critical, found.elapsed, found.unknown) == (4, 4, 4, 1)
  assert schedule.needs(plan) == {"a": set(), "c": {"a"}}


def test_the_text_counts_runs_and_arrows():
  plan = Plan([Run("p", "p.py:1k", kind="pretrain", cost=3600),
               *(Run(f"t{i}", f"t.py:{i}", {"init.checkpoint": Output("p")}, kind="transfer",
                     cost=600) for i in range(3)), Run("again", "p.py:1k", kind="pretrain")])
  lines = schedule.text(plan, 2).split("\n")
  assert lines[0] == "4 runs: 1 pretrain, 3 transfer; 1 more names share them"
  assert lines[1] == "  pretrain → transfer: 3"
  assert lines[2] == ("by the plan's costs: 1.5 h of work, longest chain 70 min, with 2 at once "
                      "80 min")
  assert sum("← p" in line for line in lines) == 3 and len(lines) == 8


def test_durations_are_readable():
  assert [schedule.duration(s) for s in (0, 89, 90, 5399, 5400, 36000)] == [
      "0 s", "89 s", "2 min", "90 min", "1.5 h", "10.0 h"]
