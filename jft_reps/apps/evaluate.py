"""Evaluates a checkpoint, or every checkpoint of a run as it comes.

  jft-reps evaluate --workdir=RUN [--checkpoint=RUN/ckpt-1000] [--follow]
      [--config=experiments/fig3_pretraining.py:random]

The run knows its configuration; where --config is given besides, it counts, and what differs is
named. Prints the numbers and a verdict against the configuration's EXPECTED (exit code 1 if one is
outside its tolerance); beside the numbers stands what guessing gives. evaluation_<set>.json, a row
per class, confusions and the pictures whose mistake it is surest of are kept in RUN, or --output.
With --follow it is the monitor: curves in TensorBoard, best/, until DONE.
--submission=DIR writes the detections, masks or poses of each set into DIR/<set> as COCO's or VOC's
server wants them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError
from jft_reps.workflows import evaluation

FLAGS = flags.FlagValues()
flags.DEFINE_string("config", None, "<file>.py[:row,option…] (default: the run's own).",
                    flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "The run directory.", flag_values=FLAGS)
flags.DEFINE_string("records", None, "Folder of the records (default: the configuration's).",
                    flag_values=FLAGS)
flags.DEFINE_string("checkpoint", None, "A checkpoint without ending; default: the newest.",
                    flag_values=FLAGS)
flags.DEFINE_boolean("follow", False, "Evaluate checkpoints as they come, until DONE.",
                     flag_values=FLAGS)
flags.DEFINE_boolean("average", None, "Evaluate the moving average of the weights (default: if "
                     "the configuration keeps one).", flag_values=FLAGS)
flags.DEFINE_string("exclude_ids", None, "File of picture ids, one a line, to leave out of a "
                    "second set of numbers.", flag_values=FLAGS)
flags.DEFINE_float("timeout", 3600.0, "Seconds without a new checkpoint or a new line in "
                   "metrics.jsonl until --follow gives up.", flag_values=FLAGS)
flags.DEFINE_string("submission", None, "Folder for what was found in the form of the test "
                    "server.", flag_values=FLAGS)
flags.DEFINE_string("output", None, "Folder for what is kept of the evaluation (default: the run "
                    "directory).", flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  resolved = command_line.resolve(argv, FLAGS, __doc__, trained=True)
  config = resolved.config
  for flag in ("submission", "output"):
    if FLAGS.follow and FLAGS[flag].value:
      raise ConfigError("flags", f"--{flag}", "given with --follow", "one of them")
  if FLAGS.follow:
    evaluation.follow(config, average=FLAGS.average, exclude_file=FLAGS.exclude_ids,
                      timeout=FLAGS.timeout)
    return 0
  values = evaluation.evaluate(
      config, checkpoint=FLAGS.checkpoint, average=FLAGS.average, exclude_file=FLAGS.exclude_ids,
      submission=FLAGS.submission, output=FLAGS.output)
  print(json.dumps(values, indent=1, sort_keys=True))
  return evaluation.verdict(values, resolved.row, getattr(resolved.module, "EXPECTED", []))


if __name__ == "__main__":
  sys.exit(command_line.run(main))
