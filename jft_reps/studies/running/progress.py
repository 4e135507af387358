"""How far a study is, derived from plan and ledger alone; shown on a terminal or line by line."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import time
from collections.abc import Mapping
from typing import IO, Any

from jft_reps.errors import DataError, StorageError, printable
from jft_reps.studies import schedule
from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.running import ledger
from jft_reps.studies.running.keeper import write_json
from jft_reps.studies.running.run_files import read_json


@dataclasses.dataclass(frozen=True)
class Source:
  """Where a plan comes from, for the report to find its pages.

  Attributes:
    plan: reference, `<file>.py[:part,…]`.
    overrides: of its configuration, by key.
    config: all values of the configuration by key, those of the whole that the plan is a part of.
  """

  plan: str = ""
  overrides: Mapping[str, str] = dataclasses.field(default_factory=dict)
  config: Mapping[str, Any] = dataclasses.field(default_factory=dict)


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
    parts += [f"{len(part)} {name}" for name, part in [
        ("running", self.running), ("failed", self.failed), ("blocked", self.blocked),
        ("left", self.left)] if part]
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

  seconds: dict[str, float | None] = {run.name: 0.0 for run in plan}
  for name in [*state.left, *state.running]:
    each = expected(plan[name])
    if each is None:
      return None
    seconds[name] = max(0.0, each - state.running.get(name, 0.0))
  return schedule.estimate(plan, jobs, seconds).elapsed


def status(workdir: str | os.PathLike) -> Progress:
  """How far the study in a directory is, whether it is running or not.

  Raises:
    DataError: there is none.
  """
  path = pathlib.Path(workdir) / "plan.json"
  if not path.is_file():
    raise DataError("plan-file", path, "there is none", "the directory of a study",
                    "Give the --workdir of a study.")
  content = read_json(path)
  try:
    plan, jobs, since = _plan(content), int(content["jobs"]), float(content["time"])
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise DataError("plan-file", path, printable(error), "the plan of a study",
                    "Start the study again.") from error
  records = ledger.read(workdir)
  now, alive = time.time(), ledger.in_use(workdir)
  running = {id: now - record.time for id, record in records.items()
             if alive and record.status == "started" and record.time >= since}
  return progress(plan, records, jobs, running)


def stored(plan: Plan, jobs: int, source: Source | None = None, whole: Plan | None = None) -> dict:
  """What `status` and a report have to know of a plan, for JSON; its runs go by their ids.

  Args:
    plan: that is run.
    jobs: at once.
    source: of the plan.
    whole: what the plan is a part of; default: it is whole.
  """
  ids = plan.ids()
  runs = [{"id": ids[run.name], "name": run.name, "kind": run.kind, "cost": run.cost,
           "needs": run.needed(), "config": run.config, "tags": dict(run.tags)}
          for run in plan.ordered()]
  return {**dataclasses.asdict(source or Source()), "jobs": jobs,
          "time": round(time.time(), 3), "whole": (whole or plan).ids(), "runs": runs}


def store(path: pathlib.Path, content: dict) -> None:
  """Writes what `stored` gives; runs of plans from before stay as `earlier`.

  Only those that are part of the same whole: neither a part that is run once more takes anything
  out of the report, nor does another configuration put anything into it. `left_out` has the
  ids of the others.

  Raises:
    StorageError: it cannot be written.
  """
  earlier: dict[str, dict] = {}
  try:
    before = read_json(path) if path.exists() else {"runs": []}
    names = {run["name"] for run in content["runs"]}
    left_out = set(before.get("left_out", ()))
    for run in [*before.get("earlier", []), *before["runs"]]:
      if content["whole"].get(run["name"]) != run["id"]:
        left_out.add(run["id"])
      elif run["name"] not in names:
        earlier[run["name"]] = run
    left_out = sorted(left_out - set(content["whole"].values()))
  except (DataError, KeyError, TypeError, AttributeError, ValueError) as error:
    raise DataError("plan-file", path, printable(error), "the plan of a study",
                    "Move the file away; what the ledger says of its runs is kept.") from error
  try:
    write_json(path, content | {"earlier": list(earlier.values()), "left_out": left_out})
  except OSError as error:
    raise StorageError("plan-file", path, printable(error), "a writable directory") from error


class _Stored(Plan):
  """A plan that was written down with its ids."""

  def __init__(self, runs, ids: dict[str, str]):
    super().__init__(runs)
    self._ids = ids


def _plan(content: dict) -> Plan:
  runs = [Run(str(r["name"]), "", needs=tuple(map(str, r["needs"])), kind=str(r["kind"]),
              cost=r["cost"] and float(r["cost"])) for r in content["runs"]]
  return _Stored(runs, {str(r["name"]): str(r["id"]) for r in content["runs"]})


class Screen:
  """Shows progress: redrawn on a terminal, elsewhere a line now and then.

  Args:
    stream: where to.
    every: seconds between plain lines.
  """

  def __init__(self, stream: IO[str], every: float = 30.0):
    self._stream, self._every = stream, every
    self._height, self._last = 0, -float("inf")

  def __call__(self, state: Progress, final: bool = False) -> None:
    """Shows a state; the final one as a whole."""
    terminal, now = self._stream.isatty(), time.monotonic()
    if not final and now - self._last < (0.5 if terminal else self._every):
      return
    self._last = now
    lines = state.lines() if terminal or final else [state.counts()]
    if terminal:
      columns, rows = _size(self._stream)
      lines = [line[:columns - 1] for line in lines]
      lines = lines if final else lines[-max(1, rows - 1):]
    clear = f"\x1b[{self._height}F\x1b[J" if terminal and self._height else ""
    self._stream.write(clear + "".join(f"{line}\n" for line in lines))
    self._stream.flush()
    self._height = len(lines)


def _size(stream: IO[str]) -> tuple[int, int]:
  try:
    return tuple(os.get_terminal_size(stream.fileno()))
  except (OSError, ValueError):
    return 80, 24
