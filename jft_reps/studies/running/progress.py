"""How far a study is, derived from plan and ledger alone."""

from __future__ import annotations

import collections
import dataclasses
import os
import time
from collections.abc import Mapping, Sized

from jft_reps.errors import printable
from jft_reps.studies import schedule
from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.running import ledger, stored_plan


@dataclasses.dataclass(frozen=True)
class Progress:
  """The state of a plan.

  Attributes:
    done: names of runs that are done.
    running: seconds since the start by name.
    failed: record by name.
    blocked: by name the failed run that it waits for.
    left: names of runs to be made.
    seconds_left: until all that is not blocked is done; None: nothing to tell it by.
  """

  done: list[str]
  running: dict[str, float]
  failed: dict[str, ledger.Record]
  blocked: dict[str, str]
  left: list[str]
  seconds_left: float | None

  def counts(self) -> str:
    """`12 of 40 done, 2 running, 1 failed, 3 blocked, 22 left, about 12 min`."""
    runs = sum(map(len, (self.done, self.running, self.failed, self.blocked, self.left)))
    parts = [f"{len(self.done)} of {runs} done"]
    others: dict[str, Sized] = {"running": self.running, "failed": self.failed,
                                "blocked": self.blocked, "left": self.left}
    parts += [f"{len(part)} {name}" for name, part in others.items() if part]
    if self.running or self.left:
      time_left = self.seconds_left
      parts.append("time left unknown" if time_left is None
                   else f"about {schedule.duration(time_left)}")
    return ", ".join(parts)

  def lines(self) -> list[str]:
    """All there is to say; the counts come last."""
    running = [f"running  {name}  {schedule.duration(s)}" for name, s in self.running.items()]
    bad = [f"{r.status:8} {name}  {printable(r.reason, 120)}" for name, r in self.failed.items()]
    waiting = [f"blocked  {name}  by {by}" for name, by in self.blocked.items()]
    return [*bad, *waiting, *running, self.counts()]


def progress(plan: Plan, records: Mapping[str, ledger.Record], jobs: int,
             running: Mapping[str, float], again: frozenset[str] = frozenset()) -> Progress:
  """How far a plan is.

  Args:
    plan: whose distinct runs are counted.
    records: of the ledger, by id.
    jobs: runs at once.
    running: by id, seconds since the start.
    again: ids of runs that are made again, whatever the ledger says of them.
  """
  ids, needed = plan.ids(), schedule.needs(plan)
  state = Progress([], {}, {}, {}, [], None)
  for run in plan.ordered():
    name, record = run.name, records.get(ids[run.name])
    if name not in needed:
      continue
    stopped = [n for n in sorted(needed[name]) if n in state.failed or n in state.blocked]
    if ids[name] in running:
      state.running[name] = running[ids[name]]
    elif record and record.status == "done" and ids[name] not in again:
      state.done.append(name)
    elif record and record.status in ledger.FAILURES and ids[name] not in again:
      state.failed[name] = record
    elif stopped:
      state.blocked[name] = state.blocked.get(stopped[0], stopped[0])
    else:
      state.left.append(name)
  return dataclasses.replace(state, seconds_left=_seconds_left(plan, records, state, jobs))


def _seconds_left(plan: Plan, records: Mapping[str, ledger.Record], state: Progress,
                  jobs: int) -> float | None:
  """By the durations of runs of the same kind, in proportion to their costs where these are given.

  Kinds of which none is done yet go by their costs, corrected as those of all others; without
  costs there is nothing to tell it by.
  """
  ids = plan.ids()
  measured: dict[str, list[float]] = collections.defaultdict(lambda: [0.0, 0.0])
  for name in state.done:
    run, seconds = plan[name], records[ids[name]].seconds
    if seconds is not None:
      for kind in (run.kind, "") if run.cost else (run.kind,):
        measured[kind][0] += seconds
        measured[kind][1] += run.cost or 1.0

  def expected(run: Run) -> float | None:
    if run.kind in measured:
      return (run.cost or 1.0) * measured[run.kind][0] / measured[run.kind][1]
    if run.cost and "" in measured:
      return run.cost * measured[""][0] / measured[""][1]
    return run.cost

  left: dict[str, float | None] = {run.name: 0.0 for run in plan}
  for name in [*state.left, *state.running]:
    each = expected(plan[name])
    if each is None:
      return None
    left[name] = max(0.0, each - state.running.get(name, 0.0))
  return schedule.estimate(plan, jobs, left).elapsed


def status(workdir: str | os.PathLike) -> Progress:
  """How far the study in a directory is, whether it is running or not.

  Raises:
    DataError: there is none.
  """
  stored, records = stored_plan.read(workdir), ledger.read(workdir)
  now, alive = time.time(), ledger.in_use(workdir)
  running = {id: now - record.time for id, record in records.items()
             if alive and record.status == "started" and record.time >= stored.time}
  return progress(stored.plan(), records, stored.jobs, running)
