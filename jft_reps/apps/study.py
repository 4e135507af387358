"""Runs a plan: a graph of runs that share what they can, several at once, through kills.

  python -m jft_reps.apps.study --plan=experiments/paper.py:laptop --workdir=DIR
  … --plan=experiments/paper.py:fig4_data_size,miniature --config.seeds=3
  … --select='detect_*_s0'     runs by name, and what they need
  … --plan=own --records=DIR   own pictures: experiments/own_study.py
  … --dry_run                  the runs, what they need and how long they take
  … --status                   how far the study in DIR is, from any terminal

Start it again after a kill: what is done is kept, what was cut off goes on. One failed run stops
only those that need it; --retry_failed tries them once more. Then `jft_reps.apps.report`, which can
also write an archive; --archive=DIR goes on from one: its numbers are taken over, and what it lacks
is made, weights that are needed once more included.

With --plan=experiments/paper.py:full nothing runs here: machine-hours are printed, and jobs for a
cluster are written to DIR/jobs, one folder for each run. What a job has trained is gathered by
--collect=DIR/jobs/RUN, see docs/cluster.md.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError

if TYPE_CHECKING:
  from jft_reps.workflows.study.plans import Cluster, Selection

FLAGS = flags.FlagValues()
flags.DEFINE_string("plan", None, "<file>.py[:part,…]: a module with get_config and plan.",
                    flag_values=FLAGS)
flags.DEFINE_string("records", None, "Own records, of --plan=own: as --config.records.",
                    flag_values=FLAGS)
flags.DEFINE_string("budget", None, "Time for all of it, as 2h, of --plan=own: as "
                    "--config.budget.", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "Where the runs go.", flag_values=FLAGS)
flags.DEFINE_integer("jobs", 0, "Runs at once (default: one for each core).", lower_bound=0,
                     flag_values=FLAGS)
flags.DEFINE_list("select", [], "Names of runs, * for any text.", flag_values=FLAGS)
flags.DEFINE_list("tags", [], "Runs with all of these tags, as seed=0,task=detect.",
                  flag_values=FLAGS)
flags.DEFINE_float("timeout", None, "Seconds that a run may take.", lower_bound=1.0,
                   flag_values=FLAGS)
flags.DEFINE_boolean("retry_failed", False, "Try runs that failed once more.", flag_values=FLAGS)
flags.DEFINE_string("archive", None, "Archive of a study to go on from.", flag_values=FLAGS)
flags.DEFINE_boolean("dry_run", False, "Print the plan and end.", flag_values=FLAGS)
flags.DEFINE_boolean("status", False, "Print how far the study is and end.", flag_values=FLAGS)
flags.DEFINE_string("image", "jft-reps:latest", "Container image of cluster jobs.",
                    flag_values=FLAGS)
flags.DEFINE_string("claim", "jft-reps", "PersistentVolumeClaim that cluster jobs write to.",
                    flag_values=FLAGS)
flags.DEFINE_string("mount", "/study", "Where cluster jobs see it.", flag_values=FLAGS)
flags.DEFINE_string("data_claim", "jft-data", "PersistentVolumeClaim of cluster jobs' records.",
                    flag_values=FLAGS)
flags.DEFINE_string("data_mount", "/data", "Where cluster jobs see them, read-only.",
                    flag_values=FLAGS)
flags.DEFINE_string("collect", None, "Folder of a cluster job whose run is to be gathered.",
                    flag_values=FLAGS)
flags.DEFINE_string("run", None, "Make the run whose folder this is; for the study itself.",
                    flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  argv, overrides = command_line.split_overrides(argv)
  command_line.parse(FLAGS, argv, __doc__)
  if FLAGS.run:
    _run(pathlib.Path(FLAGS.run))
  if FLAGS.collect:
    _collect(FLAGS.collect, FLAGS.mount)
  if FLAGS.status:
    return _status()
  _require("plan")
  from jft_reps.studies import schedule
  from jft_reps.workflows.study import plans, sitting

  if FLAGS.records:
    overrides["records"] = os.path.abspath(FLAGS.records)
  if FLAGS.budget:
    overrides["budget"] = FLAGS.budget
  chosen = plans.select(FLAGS.plan, overrides, FLAGS.select, _tags(FLAGS.tags))
  jobs = FLAGS.jobs or len(os.sched_getaffinity(0))
  if FLAGS.dry_run:
    _refuse_archive("with --dry_run, which does not look at it")
    print(schedule.text(chosen.plan, jobs))
    return 0
  _require("workdir")
  if chosen.cluster is not None:
    return _write_jobs(chosen, chosen.cluster)
  print(schedule.summary(chosen.plan, jobs), file=sys.stderr)
  state = sitting.run(
      chosen.plan, FLAGS.workdir, jobs=jobs, timeout=FLAGS.timeout, source=chosen.source,
      whole=chosen.whole, retry_failed=FLAGS.retry_failed, archive=FLAGS.archive)
  print(f"report: python -m jft_reps.apps.report --study={FLAGS.workdir}")
  return 1 if state.failed or state.blocked else 0


def _status() -> int:
  _require("workdir")
  from jft_reps.studies.running import progress

  print("\n".join(progress.status(FLAGS.workdir).lines()))
  return 0


def _tags(texts: Sequence[str]) -> dict[str, str]:
  """Value by tag."""
  pairs = [text.partition("=") for text in texts]
  if not all(equals for _, equals, _ in pairs):
    raise ConfigError("flags", "--tags", ",".join(texts), "tag=value,…")
  return {tag: value for tag, _, value in pairs}


def _refuse_archive(why: str) -> None:
  if FLAGS.archive:
    raise ConfigError("flags", "--archive", f"given {why}", "a study made here", "Leave it out.")


def _require(name: str) -> None:
  if not FLAGS[name].value:
    raise ConfigError("flags", f"--{name}", "missing", "a value", "See --help.")


def _run(directory: pathlib.Path) -> NoReturn:
  """Makes one run, and ends the process."""
  from jft_reps.workflows.study import kinds

  command_line.log_tensorflow_to(directory / "tensorflow.log")
  kinds.make_in(directory)
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(0)  # all is on the disk, and freeing datasets takes TensorFlow up to a minute


def _collect(job: str, mount: str) -> NoReturn:
  """Gathers what a cluster has trained, and ends the process."""
  from jft_reps.workflows.study import collect

  directory = collect.prepare(job, mount)
  print(f"collect: {job} into {directory}", flush=True)
  _run(directory)


def _write_jobs(chosen: Selection, cluster: Cluster) -> int:
  """Writes jobs for a cluster; prints what they need and take."""
  _refuse_archive("for jobs of a cluster")
  from jft_reps.studies.cluster.jobs import Site
  from jft_reps.workflows.study import jobs

  site = Site(FLAGS.image, FLAGS.claim, FLAGS.mount, FLAGS.data_claim, FLAGS.data_mount)
  folder = pathlib.Path(FLAGS.workdir) / "jobs"
  lines = jobs.write(chosen.plan, cluster.topology, cluster.work, folder, site, chosen.source,
                     chosen.whole)
  print("\n".join([*lines, "", f"jobs: {folder}"]))
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
