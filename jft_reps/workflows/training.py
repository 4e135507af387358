"""Trains what a configuration describes: on one device, mirrored, or on a cluster."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jft_reps.errors import ConfigError
from jft_reps.training.cluster import addresses
from jft_reps.workflows import compose, configuration, generating, presence, weights

if TYPE_CHECKING:
  import ml_collections

  from jft_reps.training.cluster.start import Cluster


def train(
    config: ml_collections.ConfigDict, workdir: str | os.PathLike | None = None,
    cluster: Cluster | None = None, mirrored: int = 0, local_cluster: str | None = None,
) -> int:
  """Trains to the configuration's last step; a run that is there already goes on.

  Args:
    config: of `configuration.load`.
    workdir: the run directory; None: the configuration's own.
    cluster: that this process is the chief of.
    mirrored: replicas of MirroredStrategy on this machine's devices.
    local_cluster: `workers=N,ps=N[,mode=inprocess|processes]`, a cluster for this run alone.

  Returns:
    The step at which training ended.

  Raises:
    errors.JftError: what is wrong with the configuration, the data, the weights or the cluster.
  """
  config = configuration.placed(config, workdir)
  topology = addresses.parse_local(local_cluster) if local_cluster else None
  presence.check_start(config)
  with contextlib.ExitStack() as stack:
    if topology is not None:
      cluster = _started(stack, *topology, config.workdir)
    return _train(config, cluster, mirrored)


def _train(config: ml_collections.ConfigDict, cluster: Cluster | None, mirrored: int) -> int:
  import tensorflow as tf

  from jft_reps import progress
  from jft_reps.training import initialise, trainer
  from jft_reps.training.run_directory import directory

  options = compose.options(config)
  strategy = None
  if mirrored:
    strategy = tf.distribute.MirroredStrategy(_devices(tf, mirrored))
  generating.generate(config, progress.counter("generated pictures"))
  run = directory.RunDirectory(config.workdir)
  fresh = run.newest() is None
  path = config.init.checkpoint if fresh else run.path
  source = weights.open_source(path) if path else None
  task = compose.task(config, source)
  initialize = None
  if fresh and source is not None:
    initialize = lambda state: initialise.from_source(
        state, source, config.init.get("allow", ()), run.path / "init_report.json").text()
  bar = progress.Progress(options.steps, "steps")
  last = trainer.Trainer(
      task, run, options, strategy, cluster, initialize, getattr(task, "notes", {}),
      getattr(task, "reasons", ()), config.to_dict(), bar).train()
  bar.close()
  print(f"jft_reps: step {last}, {run.path}; tensorboard --logdir {run.path}")
  return last


def _devices(tf, count: int) -> list[str]:
  """The first GPUs, or as many virtual CPUs."""
  gpus = tf.config.list_physical_devices("GPU")
  if len(gpus) >= count:
    return [f"/gpu:{i}" for i in range(count)]
  tf.config.set_logical_device_configuration(
      tf.config.list_physical_devices("CPU")[0],
      [tf.config.LogicalDeviceConfiguration()] * count)
  return [f"/cpu:{i}" for i in range(count)]


def _started(stack: contextlib.ExitStack, workers: int, servers: int, mode: str, workdir: str
             ) -> Cluster:
  """Starts a cluster on this machine; processes end with the stack."""
  from jft_reps.training.cluster import local_processes
  from jft_reps.training.cluster import start as cluster_lib

  if mode == "inprocess":
    return cluster_lib.start_in_process(workers, servers)
  processes = stack.enter_context(local_processes.LocalProcesses(
      workers, servers, log_directory=pathlib.Path(workdir) / "logs"))
  return processes.cluster


def check_done(directories: Sequence[str]) -> None:
  """Raises ConfigError unless these runs have trained to their end, or have their numbers."""
  for path in map(pathlib.Path, directories):
    if not any((path / name).is_file() for name in ("DONE", "numbers.json")):
      raise ConfigError("run-not-done", "--after", f"{path}: neither DONE nor numbers.json",
                        "a run that is done", "This one needs it: start it again afterwards.")
