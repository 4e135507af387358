"""`plan.json` of a work directory: the runs of a plan with their ids, and where the plan is from.

It is what `--status`, a report and the jobs of a cluster know of a plan without the Python file
that made it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jft_reps import whole_files
from jft_reps.errors import DataError, printable
from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.running import run_files

FILE = "plan.json"


@dataclasses.dataclass(frozen=True)
class PlanSource:
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
class StoredPlan:
  """What is written down of a plan.

  Attributes:
    runs: (id, run), each after what it needs; of a run only what a reader of the study asks for.
    source: of the plan.
    jobs: how many runs at once it was started with.
    time: of its start, in seconds since 1970.
    whole: ids by name of the plan that it is a part of.
    earlier: (id, run) of other parts of the same whole that were run here before.
    left_out: ids of runs of other configurations that were run here before.
  """

  runs: Sequence[tuple[str, Run]]
  source: PlanSource = PlanSource()
  jobs: int = 1
  time: float = 0.0
  whole: Mapping[str, str] = dataclasses.field(default_factory=dict)
  earlier: Sequence[tuple[str, Run]] = ()
  left_out: Collection[str] = ()

  def plan(self) -> Plan:
    """The runs that were started last, with their ids."""
    return Plan((run for _, run in self.runs), ids={run.name: id for id, run in self.runs})


def of(plan: Plan, jobs: int, source: PlanSource | None = None,
       whole: Plan | None = None) -> StoredPlan:
  """What is to be written down of a plan.

  Args:
    plan: that is run.
    jobs: at once.
    source: of the plan.
    whole: what the plan is a part of; default: it is whole.
  """
  ids = plan.ids()
  runs = [(ids[run.name], dataclasses.replace(run, needs=run.needed(), overrides={}))
          for run in plan.ordered()]
  return StoredPlan(runs, source or PlanSource(), jobs, round(time.time(), 3),
                    (whole or plan).ids())


def read(workdir: str | os.PathLike, fix: str = "Start the study again.") -> StoredPlan:
  """The plan in a work directory, of any version of the library; whoever wrote it.

  Args:
    workdir: of the study.
    fix: what to do where the file is damaged.

  Raises:
    DataError: there is none, or it is damaged.
  """
  path = pathlib.Path(workdir) / FILE
  if not path.is_file():
    raise DataError("plan-file", printable(path), "there is none", "the directory of a study",
                    "Give the --workdir of a study.")
  content = run_files.read_json(path)
  try:
    return StoredPlan(
        [_run(entry) for entry in content["runs"]],
        PlanSource(str(content.get("plan") or ""), _texts(content.get("overrides")),
                   dict(content.get("config") or {})),
        int(content.get("jobs", 1)), float(content.get("time", 0.0)),
        _texts(content.get("whole")), [_run(entry) for entry in content.get("earlier") or ()],
        frozenset(map(str, content.get("left_out") or ())))
  except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
    raise DataError("plan-file", printable(path), printable(error), "the plan of a study",
                    fix) from error


def write(workdir: str | os.PathLike, stored: StoredPlan) -> None:
  """Writes a plan over what is there, into a folder that is made where it is absent.

  Raises:
    StorageError: it cannot be written.
  """
  content = {**dataclasses.asdict(stored.source), "jobs": stored.jobs, "time": stored.time,
             "whole": dict(stored.whole), "runs": [_entry(*each) for each in stored.runs],
             "earlier": [_entry(*each) for each in stored.earlier],
             "left_out": sorted(stored.left_out)}
  whole_files.write_all(workdir, {FILE: json.dumps(content, allow_nan=False)})


def write_beside(workdir: str | os.PathLike, stored: StoredPlan) -> None:
  """Writes a plan; runs of the plan that was there before stay as `earlier`.

  Only those that are part of the same whole: neither a part that is run once more takes anything
  out of the report, nor does another configuration put anything into it. `left_out` has the
  ids of the others.

  Raises:
    DataError: what is there is damaged.
    StorageError: it cannot be written.
  """
  before = StoredPlan([])
  if (pathlib.Path(workdir) / FILE).exists():
    before = read(workdir, "Move the file away; what the ledger says of its runs is kept.")
  names = {run.name for _, run in stored.runs}
  earlier: dict[str, tuple[str, Run]] = {}
  left_out = set(before.left_out)
  for id, run in [*before.earlier, *before.runs]:
    if stored.whole.get(run.name) != id:
      left_out.add(id)
    elif run.name not in names:
      earlier[run.name] = id, run
  write(workdir, dataclasses.replace(stored, earlier=list(earlier.values()),
                                     left_out=left_out - set(stored.whole.values())))


def checked_id(text: Any) -> str:
  """An id, which becomes part of a path.

  Raises:
    ValueError: it cannot.
  """
  if not (isinstance(text, str) and re.fullmatch(r"\w[\w-]{0,80}", text)):
    raise ValueError(f"a run's id is {text!r}")
  return text


def _entry(id: str, run: Run) -> dict[str, Any]:
  return {"id": id, "name": run.name, "kind": run.kind, "cost": run.cost,
          "needs": list(run.needs), "config": run.config, "tags": dict(run.tags)}


def _run(entry: Mapping[str, Any]) -> tuple[str, Run]:
  """What `_entry` gave."""
  cost = entry.get("cost")
  return checked_id(entry["id"]), Run(
      str(entry["name"]), str(entry.get("config", "")), needs=tuple(map(str, entry["needs"])),
      kind=str(entry["kind"]), tags=dict(entry.get("tags") or {}),
      cost=None if cost is None else float(cost))


def _texts(content: Any) -> dict[str, str]:
  return {str(key): str(value) for key, value in dict(content or {}).items()}
