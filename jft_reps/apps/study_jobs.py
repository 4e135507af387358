"""A plan at full size as jobs for a cluster, with the hours that they take."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from jft_reps import whole_files
from jft_reps.apps import study_runs
from jft_reps.studies import cluster_jobs, machine_hours, run_files, schedule
from jft_reps.studies.plan import Plan, Run, resolved

_TRAINED = ("pretrain", "transfer")


def write(plan: Plan, topology: Callable[[Run], cluster_jobs.Topology], folder: pathlib.Path,
          site: cluster_jobs.Site) -> list[str]:
  """Writes a folder for each run; lines that say what all of them take.

  Training is a job of many tasks. Everything else is one process on any machine, `collect.txt`:
  it writes records, solves probes, and gathers the numbers of what was trained, so that the
  volume is a study that `jft_reps.apps.report` reads.

  Args:
    plan: of runs of full size.
    topology: tasks of a run that trains.
    folder: takes the folders.
    site: image and volume.

  Raises:
    ConfigError: a configuration is wrong, or of a network that was made smaller.
    StorageError: the files cannot be written.
  """
  ids, hours = plan.ids(), {}
  for run in schedule.distinct(plan).values():
    place = lambda name: f"{site.mount.rstrip('/')}/runs/{ids[name]}"
    whole, directory = resolved(run, place), place(run.name)
    target = folder / cluster_jobs.label(run.name)
    if run.kind in _TRAINED:
      where = directory if run.kind == "pretrain" else str(
          study_runs.trained_in(pathlib.Path(directory), None))
      cluster_jobs.write(whole, where, topology(run), folder, site)
      hours[run.name] = (topology(run), *_hours(whole, topology(run)))
    whole_files.write_all(target, {
        "collect.txt": f"mkdir -p {directory} && cp run.json {directory}/ && "
                       f"python -m jft_reps.apps.study --run={directory}\n"})
    run_files.write_run(target, whole)
  return [*schedule.graph(plan), "", *_table(hours), "", *machine_hours.text().splitlines()]


def _hours(run: Run, topology: cluster_jobs.Topology) -> tuple[int, machine_hours.Hours]:
  """Steps and hours of a run that trains."""
  config, _ = study_runs.configured(run, pathlib.Path("/"))
  task = config.task.to_dict()
  batch = task.get("batch_size", 1)
  return config.train.steps, machine_hours.model(
      machine_hours.of_task(task), batch, config.train.steps, topology.workers, topology.servers)


def _table(hours: dict[str, tuple[cluster_jobs.Topology, int, machine_hours.Hours]]) -> list[str]:
  width = max(map(len, hours), default=3)
  lines = [f"{'run':{width}}  workers  servers        steps  s/push      days  GPU-hours"]
  for name, (topology, steps, found) in hours.items():
    lines.append(f"{name:{width}}  {topology.workers:7}  {topology.servers:7}  {steps:11,}  "
                 f"{found.step:6.2f}  {found.days:8.1f}  {found.gpu_hours:9,.0f}")
  total = lambda part: sum(getattr(found, part) for *_, found in hours.values())
  lines.append(f"{len(hours)} jobs: {total('gpu_hours'):,.0f} GPU-hours, "
               f"{total('server_hours'):,.0f} hours of parameter servers, "
               f"{total('days'):,.0f} days one after the other")
  return lines
