"""Gathers on the volume of a cluster what one of its jobs has trained, without training itself.

The volume becomes a study that `jft_reps.apps.report` reads: `plan.json`, and in `runs/<id>` of
each run `run.json` and, at the end, `numbers.json`.
"""

from __future__ import annotations

import os
import pathlib

from jft_reps import whole_files
from jft_reps.errors import DataError, StorageError, printable
from jft_reps.studies.plan import Run
from jft_reps.studies.running import keeper, run_files, stored_plan
from jft_reps.workflows.study import configured, jobs


def prepare(job: str | os.PathLike, mount: str | os.PathLike) -> pathlib.Path:
  """The directory of a job's run, on the volume, with all that is needed to make the run there.

  Args:
    job: folder of a run that `study_jobs.write` has written.
    mount: where this machine has the volume.

  Raises:
    ConfigError: the configuration of the run is wrong, or not found from here.
    DataError: the folder is none of a job.
    StorageError: the volume is not there or cannot be written; the run has not been trained to
      its end, or one that it needs has not been gathered.
  """
  job, mount = pathlib.Path(job), pathlib.Path(mount)
  run, folder = run_files.read_run(job), job.resolve().parent
  stored = stored_plan.read(folder, "Write the jobs again.")
  ids = stored.plan().ids()
  if run.name not in ids:
    raise DataError("plan-file", folder / stored_plan.FILE, f"it has no run {printable(run.name)}",
                    "the plan that this job is of", "Write the jobs again.")
  if not mount.is_dir():
    raise StorageError("volume", mount, "no such folder", "the volume of the jobs",
                       "Collect where it is mounted, at the --mount of its jobs.")
  place = lambda name: mount / "runs" / ids[name]
  where = jobs.trained_in(run.kind, place(run.name))
  if where is not None:
    _check_trained(run, where, job)
  else:
    for name in run.needed():
      _check_gathered(name, place(name), folder)
  stored_plan.write_beside(mount, stored)
  whole_files.write_all(place(run.name), {"run.json": (job / "run.json").read_bytes()})
  return place(run.name)


def _check_trained(run: Run, where: pathlib.Path, job: pathlib.Path) -> None:
  """Raises StorageError unless the cluster has trained a run to its last step."""
  from jft_reps.training.run_directory.directory import RunDirectory

  steps = configured.configured(run, where)[0].train.steps
  done = RunDirectory(where).done()
  if done is None or done < steps:
    raise StorageError(
        "run-not-done", where, "no DONE" if done is None else f"DONE at step {done}",
        f"DONE at step {steps}", f"Collecting does not train: start {job / 'manifest.yaml'} on the "
        "cluster, or wait until its chief has ended.")


def _check_gathered(name: str, directory: pathlib.Path, jobs_folder: pathlib.Path) -> None:
  """Raises StorageError unless a needed run has its numbers."""
  if not (directory / keeper.NUMBERS).is_file():
    raise StorageError("run-not-done", directory, f"no {keeper.NUMBERS} of {printable(name)}",
                       "all that a run needs to be done before it",
                       f"Run its collect.txt first, in {jobs_folder}.")
