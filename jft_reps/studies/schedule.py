"""How long a plan takes and how much it leaves, and the plan as text."""

from __future__ import annotations

import collections
import dataclasses
import heapq
import os
import shutil
from collections.abc import Iterable, Mapping

from jft_reps.studies.plan import Plan, Run


@dataclasses.dataclass(frozen=True)
class Estimate:
  """Seconds of a plan.

  Attributes:
    total: of all runs, one after the other.
    critical: of the longest chain of runs that need each other.
    elapsed: with as many jobs at once as was asked, longest chains first.
    unknown: number of runs without a duration, which count as nothing.
  """

  total: float
  critical: float
  elapsed: float
  unknown: int


def estimate(plan: Plan, jobs: int, durations: Mapping[str, float | None] | None = None
             ) -> Estimate:
  """The time of a plan by the costs of its runs.

  Args:
    plan: runs with the same id count once.
    jobs: runs at once.
    durations: seconds by name instead of the costs.
  """
  known = {run.name: run.cost for run in plan} if durations is None else dict(durations)
  runs = distinct(plan)
  seconds = {name: known.get(name) or 0.0 for name in runs}
  chains = chain_lengths(plan, seconds)
  return Estimate(sum(seconds.values()), max(chains.values(), default=0.0),
                  _elapsed(plan, seconds, chains, jobs),
                  sum(known.get(name) is None for name in runs))


def distinct(plan: Plan) -> dict[str, Run]:
  """Runs by name without those that do what an earlier one does."""
  ids, first = plan.ids(), dict[str, Run]()
  for run in plan.ordered():
    first.setdefault(ids[run.name], run)
  return {run.name: run for run in first.values()}


def needs(plan: Plan) -> dict[str, set[str]]:
  """Names that each distinct run needs, of distinct runs as well."""
  ids = plan.ids()
  names = {ids[name]: name for name in distinct(plan)}
  return {name: {names[ids[n]] for n in plan[name].needed()} for name in names.values()}


def chain_lengths(plan: Plan, seconds: Mapping[str, float]) -> dict[str, float]:
  """Seconds from the start of each distinct run to the end of the longest chain behind it."""
  needed = needs(plan)
  behind: dict[str, float] = collections.defaultdict(float)
  lengths = {}
  for run in reversed(plan.ordered()):
    if run.name in needed:
      lengths[run.name] = behind[run.name] + seconds.get(run.name, 0.0)
      for name in needed[run.name]:
        behind[name] = max(behind[name], lengths[run.name])
  return lengths


def _elapsed(plan: Plan, seconds: Mapping[str, float], chains: Mapping[str, float],
             jobs: int) -> float:
  """The end of the last run when a free job takes the run with the longest chain."""
  open_needs = needs(plan)
  behind = collections.defaultdict(list)
  for name, needed in open_needs.items():
    for each in needed:
      behind[each].append(name)
  ready = [(-chains[name], name) for name, needed in open_needs.items() if not needed]
  heapq.heapify(ready)
  running: list[tuple[float, str]] = []
  now = 0.0
  while ready or running:
    while ready and len(running) < jobs:
      name = heapq.heappop(ready)[1]
      heapq.heappush(running, (now + seconds[name], name))
    now, name = heapq.heappop(running)
    for later in behind[name]:
      open_needs[later].discard(name)
      if not open_needs[later]:
        heapq.heappush(ready, (-chains[later], later))
  return now


def graph(plan: Plan) -> list[str]:
  """Counts by kind, and arrows between kinds, a line each."""
  runs, needed = distinct(plan), needs(plan)
  kinds = collections.Counter(run.kind for run in runs.values())
  arrows = collections.Counter((runs[n].kind, runs[name].kind)
                               for name, names in needed.items() for n in names)
  lines = [f"{len(runs)} runs: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items())]
  if len(plan) > len(runs):
    lines[0] += f"; {len(plan) - len(runs)} more names share them"
  return lines + [f"  {a} → {b}: {n}" for (a, b), n in arrows.items()]


def text(plan: Plan, jobs: int = 1) -> str:
  """The plan to read: its graph, the estimate, a line for each run."""
  lines, ids = [*graph(plan), summary(plan, jobs)], plan.ids()
  width = max((len(run.name) for run in plan), default=0)
  for run in plan.ordered():
    cost = "" if run.cost is None else duration(run.cost)
    arrow = " ← " + ", ".join(run.needed()) if run.needed() else ""
    lines.append(f"{ids[run.name]}  {run.name:{width}}  {run.kind:10} {cost:>8}  {run.config}"
                 + arrow)
  return "\n".join(lines)


def summary(plan: Plan, jobs: int = 1) -> str:
  """How long all of it takes, in one line."""
  time = estimate(plan, jobs)
  return (f"by the plan's costs: {duration(time.total)} of work, longest chain "
          f"{duration(time.critical)}, with {jobs} at once {duration(time.elapsed)}"
          + (f"; {time.unknown} runs without a cost" if time.unknown else ""))


def disk_note(plan: Plan, names: Iterable[str], workdir: str | os.PathLike) -> str:
  """`needs about X GB, Y GB free`, for some of the runs."""
  needed = sum(plan[name].gigabytes for name in names)
  free = shutil.disk_usage(workdir).free / 1e9
  note = f"{os.fspath(workdir)}: needs about {needed:.1f} GB, {free:.1f} GB free"
  return note + (": not enough" if needed > free else "")


def duration(seconds: float) -> str:
  """`42 s`, `12 min`, `3.4 h`."""
  if seconds < 90:
    return f"{seconds:.0f} s"
  return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
