"""Table 6 in miniature: does pre-training help finding keypoints?

  for s in 0 1 2 3 4; do python -m experiments.quickstart --workdir=/tmp/seed$s --seed=$s; done
  python -m experiments.table6_laptop --workdir=/tmp/table6 --pretrained=/tmp/seed{seed} \\
      --output=experiments/results/table6_laptop.csv

Every start gets generated figures in looks it never saw (300 pictures to train on), batch-norm
statistics from these pictures, five learning rates of which a validation split chooses, and as many
steps; the random start is also run three times longer, with five rates too. A frozen start trains
nothing before conv5. People are looked for in their true boxes. Seeds cover pre-training, pictures
and weights; claims are paired differences over seeds. Goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from experiments import paired_starts
from jft_reps.apps import command_line

FLAGS = flags.FlagValues()
paired_starts.define_flags(FLAGS, steps=300)

CONFIG = "experiments/table6_pose.py"
NUMBERS = {"keypoints/AP": "dev_ap", "figures_test: keypoints/AP": "test_ap",
           "figures_test: keypoints/AP50": "test_ap50"}
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)


def main(argv: Sequence[str]) -> int:
  return paired_starts.trained(argv, FLAGS, __doc__, CONFIG, NUMBERS, RATES,
                               {"test_ap": "AP", "test_ap50": "AP50"})


if __name__ == "__main__":
  sys.exit(command_line.run(main))
