"""Writes a checkpoint as a SavedModel: encoded pictures in, labels out.

  jft-reps export --workdir=RUN --output=MODEL [--checkpoint=RUN/best/ckpt-1000] [--average]

The run knows its configuration. Labels, weights and the treatment of pictures are inside;
TensorFlow alone loads it:

  model = tf.saved_model.load("/tmp/model").signatures["serving_default"]
  model(image_bytes=tf.constant([open("picture.jpg", "rb").read()]))  # labels, scores, logits
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError
from jft_reps.workflows import exporting

FLAGS = flags.FlagValues()
flags.DEFINE_string("config", None, "<file>.py[:row,option…] (default: the run's own).",
                    flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "The run directory.", flag_values=FLAGS)
flags.DEFINE_string("records", None, "Folder of the records (default: the configuration's).",
                    flag_values=FLAGS)
flags.DEFINE_string("checkpoint", None, "A checkpoint without ending; default: the newest.",
                    flag_values=FLAGS)
flags.DEFINE_boolean("average", False, "Export the moving average of the weights.",
                     flag_values=FLAGS)
flags.DEFINE_string("output", None, "The directory to write.", flag_values=FLAGS)
flags.DEFINE_boolean("overwrite", False, "Replace a SavedModel in the output directory.",
                     flag_values=FLAGS)
flags.DEFINE_integer("top", 5, "Labels given for a picture.", lower_bound=1, flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  config = command_line.resolve(argv, FLAGS, __doc__, trained=True).config
  if not FLAGS.output:
    raise ConfigError("flags", "--output", "missing", "a value", "See --help.")
  path = exporting.export(config, FLAGS.output, checkpoint=FLAGS.checkpoint,
                          average=FLAGS.average, top=FLAGS.top, overwrite=FLAGS.overwrite)
  print(f"jft_reps: exported to {path}")
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
