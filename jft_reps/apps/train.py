"""Trains a task: on one device, on a local cluster, or as one task of many machines.

  python -m jft_reps.apps.train --config=experiments/fig3_pretraining.py:random,laptop \\
      --workdir=/tmp/run --local_cluster=workers=2,ps=2,mode=processes

With TF_CONFIG in the environment the same command becomes chief, worker or parameter server.
A run that is there already is resumed. Single values are overridden as --config.train.steps=10.
--config=own:small --records=RECORDS is for own pictures: see experiments/own.py.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError
from jft_reps.training.cluster import addresses
from jft_reps.workflows import evaluation, training

FLAGS = flags.FlagValues()
flags.DEFINE_string("config", None, "<file>.py[:row,option…], or own:small.", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "The run directory.", flag_values=FLAGS)
flags.DEFINE_string("records", None, "Folder of the records (default: the configuration's).",
                    flag_values=FLAGS)
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


def main(argv: Sequence[str]) -> int:
  tf_config = os.environ.get("TF_CONFIG", "")
  resolved = command_line.resolve(argv, FLAGS, __doc__)
  config = resolved.config
  _one_topology(tf_config)
  for line in resolved.lines():
    print(line, file=sys.stderr)
  if FLAGS.dry_run:
    print(json.dumps(config.to_dict(), indent=1, default=str))
    return 0
  if tf_config:
    cluster = addresses.from_tf_config(tf_config, FLAGS.allow_remote_cluster)
    if cluster.job in ("worker", "ps"):
      from jft_reps.training.cluster import start as cluster_lib
      from jft_reps.training.run_directory import directory

      sys.stderr.flush()
      done = lambda: directory.RunDirectory(config.workdir).done() is not None
      os._exit(cluster_lib.serve(cluster, done))  # TensorFlow's server threads never end
    if cluster.job == "evaluator":
      evaluation.follow(config)
      return 0
    training.check_done(FLAGS.after)
    training.train(config, cluster=cluster)
    return 0
  training.check_done(FLAGS.after)
  command_line.log_tensorflow_to(os.path.join(config.workdir, "logs", "tensorflow.log"))
  training.train(config, mirrored=FLAGS.mirrored, local_cluster=FLAGS.local_cluster)
  return 0


def _one_topology(tf_config: str) -> None:
  """Refuses two answers to where the run takes place."""
  given = [name for name, value in (
      ("TF_CONFIG", tf_config), ("--local_cluster", FLAGS.local_cluster),
      ("--mirrored", FLAGS.mirrored)) if value]
  if len(given) > 1:
    raise ConfigError("flags", given[1], f"given together with {given[0]}", "one of them")


if __name__ == "__main__":
  sys.exit(command_line.run(main))
