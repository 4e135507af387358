"""How good a frozen representation is: a linear probe, and few-shot accuracy.

  jft-reps probe --workdir=RUN [--records=RECORDS]
  jft-reps probe --config=experiments/table1_imagenet.py:frozen --workdir=NEW \\
      --config.init.checkpoint=WEIGHTS --records=RECORDS

The first probes a run that was trained, into RUN/probe, with its own pictures or others; the second
any weights, as the configuration says. Beside each number stand what guessing gives, and the same
probe on the network with random weights (--nountrained saves its time).

Pooled conv5 features of all pictures are computed once and kept in --features; the classifier is
solved on them (ridge regression in closed form, or --config.probe.method=logistic by L-BFGS). It
goes into the run's checkpoint, so that `evaluate` and `export` take it like a trained one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.workflows import probing

FLAGS = flags.FlagValues()
flags.DEFINE_string("config", None, "<file>.py[:row,option…].", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "The run directory.", flag_values=FLAGS)
flags.DEFINE_string("records", None, "Folder of the records (default: the configuration's).",
                    flag_values=FLAGS)
flags.DEFINE_string("features", None, "Folder of cached features (default: in the run directory).",
                    flag_values=FLAGS)
flags.DEFINE_boolean("untrained", True, "Probe the network with random weights as well.",
                     flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  config = command_line.resolve(argv, FLAGS, __doc__, trained=True).config
  if not FLAGS.config:
    config = probing.of_run(config, FLAGS.records or "")
  result = probing.probe(config, features=FLAGS.features, untrained=FLAGS.untrained)
  print(probing.text(result))
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
