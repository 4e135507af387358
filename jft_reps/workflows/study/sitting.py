"""Makes the runs of a plan on this machine: each a process of its own, several at once."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import IO

from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.running import archive as archives
from jft_reps.studies.running import progress, runner, stored_plan
from jft_reps.studies.running import results as report_runs


def run(
    plan: Plan, workdir: str | os.PathLike, jobs: int | None = None, timeout: float | None = None,
    source: stored_plan.PlanSource | None = None, whole: Plan | None = None,
    retry_failed: bool = False, archive: str | None = None, stream: IO[str] | None = None,
) -> progress.Progress:
  """Makes what is not made yet; what is done is kept, what was cut off goes on.

  Args:
    plan: of `plans.select`, or one of your own.
    workdir: takes the runs.
    jobs: runs at once; None: one for each core.
    timeout: seconds that a run may take.
    source: file and configuration of the plan, for the report.
    whole: what the plan is a part of.
    retry_failed: try runs that failed once more.
    archive: of a study to go on from.
    stream: where progress is shown; None: standard error.

  Returns:
    The final state; runs that failed are told in it.

  Raises:
    errors.JftError: the plan, the archive or the folder is not what it has to be.
  """
  stream = stream or sys.stderr
  return runner.run(
      plan, workdir, command, jobs=jobs or len(os.sched_getaffinity(0)), timeout=timeout,
      source=source, retry_failed=retry_failed, stream=stream, whole=whole,
      elsewhere=_taken(plan, archive, workdir, stream) if archive else ())


def command(run: Run, directory: pathlib.Path) -> list[str]:
  """The process that makes a run."""
  return [sys.executable, "-m", "jft_reps.apps.study", f"--run={directory}"]


def _taken(plan: Plan, archive: str, workdir: str | os.PathLike,
           stream: IO[str]) -> list[report_runs.RunResult]:
  """Runs of the archive, of which those of the plan are counted aloud."""
  results = archives.take(archive, workdir)
  done = {result.id for result in results if result.status == report_runs.DONE}
  known = done & set(plan.ids().values())
  print(f"{archive}: {len(known)} of {len(set(plan.ids().values()))} runs are done there"
        + ("" if known else ": is it of this plan and configuration?"), file=stream)
  return results
