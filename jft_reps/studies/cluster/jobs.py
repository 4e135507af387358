"""Runs of a plan as jobs of a cluster: one folder per run, to be started by any scheduler.

  manifest.yaml   for Kubernetes, see `kubernetes.py`
  tf_config.json  role, index and TF_CONFIG of every task, for anything else
  command.txt     what the tasks run

The programs are the same as on one machine.
"""

from __future__ import annotations

import json
import os
import pathlib
import shlex
from collections.abc import Sequence

from jft_reps import whole_files
from jft_reps.errors import printable
from jft_reps.studies.cluster import kubernetes
from jft_reps.studies.cluster.kubernetes import Site
from jft_reps.studies.cluster.tasks import Topology, label, tf_configs
from jft_reps.studies.plan import Run, flags

__all__ = ["Site", "Topology", "commands", "kubernetes", "label", "tf_configs", "write"]


def commands(run: Run, workdir: str, after: Sequence[str] = ()) -> dict[str, list[str]]:
  """The program of each role for a resolved run in a directory of the volume.

  With `after`, directories of the volume, training refuses to start before these are done.
  """
  shared = [f"--config={run.config}", f"--workdir={workdir}", *flags(run)]
  train = ["python", "-m", "jft_reps.apps.train", *shared, "--allow_remote_cluster"]
  train += [f"--after={directory}" for directory in after]
  evaluate = ["python", "-m", "jft_reps.apps.evaluate", *shared, "--follow"]
  return {"chief": train, "worker": train, "ps": train, "evaluator": evaluate}


def write(run: Run, workdir: str, topology: Topology, folder: str | os.PathLike, site: Site,
          port: int = 2222, hosts: Sequence[str] = (), after: Sequence[str] = ()) -> pathlib.Path:
  """Writes manifest.yaml, tf_config.json and command.txt of a resolved run, and returns where.

  Args:
    run: with paths on the volume in place of `Output`s.
    workdir: the run's directory on the volume.
    topology: of its tasks.
    folder: gets a folder for the run.
    site: image and volumes.
    port: at which tasks listen.
    hosts: for tf_config.json alone, see `tf_configs`; a manifest's pods have names of their own.
    after: directories of the runs that it needs, on the volume.

  Raises:
    ConfigError: as `kubernetes.manifest` and `tf_configs`.
    StorageError: the files cannot be written.
  """
  name, programs = label(run.name), commands(run, workdir, after)
  manifest = kubernetes.manifest(name, topology, site, programs, port)
  tasks = [{"role": role, "index": index, "TF_CONFIG": config}
           for role, index, config in tf_configs(name, topology, hosts, port)]
  needs = ", ".join(printable(n) for n in run.needed()) or "nothing"
  text = "\n".join([
      f"# {printable(run.name)}; needs {needs}",
      "# Each task with its own TF_CONFIG of tf_config.json:", shlex.join(programs["chief"]),
      "# The evaluator, which needs none:", shlex.join(programs["evaluator"]), ""])
  place = pathlib.Path(folder) / name
  whole_files.write_all(place, {"tf_config.json": json.dumps(tasks), "manifest.yaml": manifest,
                                "command.txt": text})
  return place
