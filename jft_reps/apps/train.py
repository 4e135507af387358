"""Trains a task: on one device, on a local cluster, or as one task of many machines.

  python -m jft_reps.apps.train --config=experiments/fig3_pretraining.py:random,laptop \\
      --workdir=/tmp/run --local_cluster=workers=2,ps=2,mode=processes

With TF_CONFIG in the environment the same command becomes chief, worker or parameter server.
A run that is there already is resumed. Single values are overridden as --config.train.steps=10.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line, compose, configuration
from jft_reps.errors import ConfigError

FLAGS = flags.FlagValues()
flags.DEFINE_string("config", None, "experiments/<file>.py[:row,option…].", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "The run directory.", flag_values=FLAGS)
flags.DEFINE_string("local_cluster", None, "workers=N,ps=N[,mode=inprocess|processes].",
                    flag_values=FLAGS)
flags.DEFINE_integer("mirrored", 0, "Replicas of MirroredStrategy on this machine's devices.",
                     lower_bound=0, flag_values=FLAGS)
flags.DEFINE_boolean("allow_remote_cluster", False,
                     "Accept addresses beyond this machine in TF_CONFIG.", flag_values=FLAGS)
flags.DEFINE_multi_string("after", [], "Directory of a run that has to be done before.",
                          flag_values=FLAGS)
flags.DEFINE_boolean("dry_run", False, "Print the resolved configuration and end.",
                     flag_values=FLAGS)


def split_overrides(argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
  """Takes `--config.a.b=value` out of the arguments."""
  rest, overrides = [], {}
  for argument in argv:
    name, equals, value = argument.lstrip("-").partition("=")
    if argument.startswith("-") and name.startswith("config."):
      if not equals:
        raise ConfigError("flags", argument, "no value", "--config.key=value")
      overrides[name.removeprefix("config.")] = value
    else:
      rest.append(argument)
  return rest, overrides


def resolve(argv: Sequence[str], values: flags.FlagValues, description: str):
  """The configuration and its module that the flags name, overridden and locked."""
  argv, overrides = split_overrides(argv)
  command_line.parse(values, argv, description, required=("config", "workdir"))
  config, module = configuration.read_config(values.config)
  with config.unlocked():
    config.workdir = values.workdir
  configuration.override(config, overrides)
  place_records(config)
  return config, module


def place_records(config) -> None:
  """Puts the run directory in place of `{workdir}` where records and hierarchy are looked for."""
  for name in ("records", "hierarchy"):
    value = config.task.get(name)
    if isinstance(value, str):
      config.task[name] = value.replace("{workdir}", str(config.workdir))


def main(argv: Sequence[str]) -> int:
  tf_config = os.environ.get("TF_CONFIG", "")
  config, _ = resolve(argv, FLAGS, __doc__)
  _one_topology(tf_config)
  if FLAGS.dry_run:
    print(json.dumps(config.to_dict(), indent=1, default=str))
    return 0
  from jft_reps.training import cluster as cluster_lib
  from jft_reps.training import run_directory

  if tf_config:
    cluster = cluster_lib.from_tf_config(tf_config, FLAGS.allow_remote_cluster)
    if cluster.job in ("worker", "ps"):
      sys.stderr.flush()
      done = lambda: run_directory.RunDirectory(config.workdir).done() is not None
      os._exit(cluster_lib.serve(cluster, done))  # TensorFlow's server threads never end
    if cluster.job == "evaluator":
      from jft_reps.apps import evaluate
      return evaluate.follow(config)
    _check_done(FLAGS.after)
    return train(config, cluster)
  _check_done(FLAGS.after)
  command_line.log_tensorflow_to(os.path.join(config.workdir, "logs", "tensorflow.log"))
  with contextlib.ExitStack() as stack:
    cluster = None
    if FLAGS.local_cluster:
      cluster = local_cluster(stack, FLAGS.local_cluster, config.workdir)
    return train(config, cluster, FLAGS.mirrored)


def _one_topology(tf_config: str) -> None:
  """Refuses two answers to where the run takes place."""
  given = [name for name, value in (
      ("TF_CONFIG", tf_config), ("--local_cluster", FLAGS.local_cluster),
      ("--mirrored", FLAGS.mirrored)) if value]
  if len(given) > 1:
    raise ConfigError("flags", given[1], f"given together with {given[0]}", "one of them")


def _check_done(directories: Sequence[str]) -> None:
  """Raises ConfigError unless these runs have trained to their end, or have their numbers."""
  for path in map(pathlib.Path, directories):
    if not any((path / name).is_file() for name in ("DONE", "numbers.json")):
      raise ConfigError("run-not-done", "--after", f"{path}: neither DONE nor numbers.json",
                        "a run that is done", "This one needs it: start it again afterwards.")


def local_cluster(stack: contextlib.ExitStack, text: str, workdir: str):
  """Starts the cluster that `--local_cluster` describes; processes end with the stack."""
  from jft_reps.training import cluster as cluster_lib
  from jft_reps.training import local_processes

  workers, servers, mode = cluster_lib.parse_local(text)
  if mode == "inprocess":
    return cluster_lib.start_in_process(workers, servers)
  processes = stack.enter_context(local_processes.LocalProcesses(
      workers, servers, log_directory=pathlib.Path(workdir) / "logs"))
  return processes.cluster


def train(config, cluster=None, mirrored: int = 0) -> int:
  """Trains what a configuration describes, and prints where the results are."""
  import tensorflow as tf

  from jft_reps.training import initialise, progress, run_directory, trainer

  options = compose.options(config)
  strategy = None
  if mirrored:
    strategy = tf.distribute.MirroredStrategy(_devices(tf, mirrored))
  compose.generate(config, progress.counter("generated pictures"))
  run = run_directory.RunDirectory(config.workdir)
  fresh = run.newest() is None
  path = config.init.checkpoint if fresh else run.path
  source = initialise.open_source(path) if path else None
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
  return 0


def _devices(tf, count: int) -> list[str]:
  """The first GPUs, or as many virtual CPUs."""
  gpus = tf.config.list_physical_devices("GPU")
  if len(gpus) >= count:
    return [f"/gpu:{i}" for i in range(count)]
  tf.config.set_logical_device_configuration(
      tf.config.list_physical_devices("CPU")[0],
      [tf.config.LogicalDeviceConfiguration()] * count)
  return [f"/cpu:{i}" for i in range(count)]


if __name__ == "__main__":
  sys.exit(command_line.run(main))
