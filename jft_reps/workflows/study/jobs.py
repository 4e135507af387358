"""A plan at full size as jobs for a cluster, with the hours that they take."""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from jft_reps import whole_files
from jft_reps.errors import ConfigError, printable
from jft_reps.studies import schedule
from jft_reps.studies.cluster import jobs as cluster_jobs
from jft_reps.studies.cluster import machine_hours
from jft_reps.studies.plan import Plan, Run, resolved
from jft_reps.studies.running import run_files, stored_plan
from jft_reps.workflows.study import configured, transfers


@dataclasses.dataclass(frozen=True)
class _Job:
  """A run that trains: its cluster, its steps and the hours that they take."""

  topology: cluster_jobs.Topology
  steps: int
  hours: machine_hours.Hours


def write(plan: Plan, topology: Callable[[Run], cluster_jobs.Topology],
          work: Callable[[Mapping[str, Any]], machine_hours.Work], folder: pathlib.Path,
          site: cluster_jobs.Site, source: stored_plan.PlanSource | None = None,
          whole: Plan | None = None) -> list[str]:
  """Writes plan.json and a folder for each run; lines that say what all of them need and take.

  Training is a job of many tasks. Everything else is one process on any machine, `collect.txt`:
  it writes records, solves probes, and gathers the numbers of what was trained, see `collect`.

  Args:
    plan: of runs of full size.
    topology: tasks of a run that trains.
    work: one picture in training, given a configuration's `task`.
    folder: takes the folders.
    site: image and volumes.
    source, whole: of the plan, for the report, see `stored_plan.of`.

  Raises:
    ConfigError: a configuration is wrong, or of a network that was made smaller; it has rates to
      choose from, or records where no pod sees them.
    StorageError: the files cannot be written.
  """
  ids, jobs, folder = plan.ids(), {}, folder.resolve()
  place = lambda name: pathlib.Path(site.mount, "runs", ids[name])
  trained = lambda name: trained_in(plan[name].kind, place(name))
  stored_plan.write(folder, stored_plan.of(plan, 1, source, whole))
  for run in schedule.distinct(plan).values():
    target = folder / cluster_jobs.label(run.name)
    there = resolved(run, lambda name: str(place(name)))
    _check(there, site)
    where = trained(run.name)
    if where is not None:
      jobs[run.name] = _job(there, topology(run), work)
      after = [str(trained(name) or place(name)) for name in run.needed()]
      cluster_jobs.write(_followed(there), str(where), topology(run), folder, site, after=after)
    command = ["python", "-m", "jft_reps.apps.study", f"--collect={target}",
               f"--mount={site.mount}"]
    whole_files.write_all(target, {"collect.txt": shlex.join(command) + "\n"})
    run_files.write_run(target, there)
  return [*schedule.graph(plan), "", *_table(plan, jobs), "", *machine_hours.text().splitlines()]


def trained_in(kind: str, directory: pathlib.Path) -> pathlib.Path | None:
  """Where the tasks of a run train, given its directory; None: one process does all of it."""
  if kind == "pretrain":
    return directory
  return transfers.trained_in(directory, None) if kind == "transfer" else None


def _check(run: Run, site: cluster_jobs.Site) -> None:
  """Raises ConfigError unless the tasks of a resolved run can do what it asks for."""
  for key in ("task.records", "task.hierarchy"):
    path = run.overrides.get(key)
    if path and not site.has(path):
      raise ConfigError("cluster-job", f"{printable(run.name)}, {key}", printable(path),
                        f"a path below {site.mount} or {site.data_mount}",
                        "Pods see no other; see --mount and --data_mount.")
  if run.overrides.get("study.rates") or "study.rate_of" in run.overrides:
    raise ConfigError("cluster-job", printable(run.name), "learning rates to choose from",
                      "the configuration's own rate",
                      "A job trains once: leave --config.tasks.….rates empty.")


def _followed(run: Run) -> Run:
  """The run as its cluster makes it: the evaluator follows the split whose numbers count."""
  split = run.overrides.get("study.test")
  return run if split is None else dataclasses.replace(
      run, overrides={**run.overrides, "task.eval_splits": [split]})


def _job(run: Run, topology: cluster_jobs.Topology,
         work: Callable[[Mapping[str, Any]], machine_hours.Work]) -> _Job:
  """Cluster, steps and hours of a run that trains."""
  config, _ = configured.configured(run, pathlib.Path("/"))
  task = config.task.to_dict()
  hours = machine_hours.model(work(task), task.get("batch_size", 1),
                              config.train.steps, topology.workers, topology.servers)
  return _Job(topology, config.train.steps, hours)


def _table(plan: Plan, jobs: Mapping[str, _Job]) -> list[str]:
  """A line for each run, with what it needs, and one for all."""
  needed = schedule.needs(plan)
  width = max(map(len, needed), default=3)
  lines = [f"{'run':{width}}  kind      workers  servers       steps  s/push   days  GPU-hours"]
  for name, names in needed.items():
    line = f"{name:{width}}  {plan[name].kind:8}  " + _cells(jobs.get(name))
    lines.append(line + (" ← " + ", ".join(sorted(names)) if names else ""))
  total = lambda part: sum(getattr(job.hours, part) for job in jobs.values())
  lines.append(f"{len(jobs)} jobs: {total('gpu_hours'):,.0f} GPU-hours, "
               f"{total('server_hours'):,.0f} hours of parameter servers, "
               f"{total('days'):,.0f} days one after the other")
  return lines


def _cells(job: _Job | None) -> str:
  if job is None:
    return f"{'one process':>52}"
  return (f"{job.topology.workers:7}  {job.topology.servers:7}  {job.steps:10,}  "
          f"{job.hours.step:6.2f}  {job.hours.days:5.1f}  {job.hours.gpu_hours:9,.0f}")
