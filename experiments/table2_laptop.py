"""Table 2 in miniature: does pre-training help a detector?

  for s in 0 1 2 3 4; do python -m experiments.quickstart --workdir=/tmp/seed$s --seed=$s; done
  python -m experiments.table2_laptop --workdir=/tmp/table2 --pretrained=/tmp/seed{seed} \\
      --output=experiments/results/table2_laptop.csv

Every start gets pictures with boxes around shapes it never saw (2,000 to train on, 31 classes),
batch-norm statistics from these pictures, four learning rates of which a validation split chooses,
and as many steps; the random start is also run three times longer, with four rates too. A frozen
start trains nothing before conv5. Seeds cover pre-training, pictures and weights; claims are paired
differences over seeds. Goes on where it was; about an hour on two cores.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from experiments import paired_starts
from jft_reps.apps import command_line

FLAGS = flags.FlagValues()
paired_starts.define_flags(FLAGS, steps=1200)

CONFIG = "experiments/table2_coco.py"
NUMBERS = {"coco/AP50": "dev_ap50", "boxes_test: coco/AP50": "test_ap50",
           "boxes_test: coco/AP": "test_ap"}
RATES = (0.003, 0.01, 0.03, 0.1)


def main(argv: Sequence[str]) -> int:
  return paired_starts.trained(argv, FLAGS, __doc__, CONFIG, NUMBERS, RATES,
                               {"test_ap50": "AP50", "test_ap": "AP"})


if __name__ == "__main__":
  sys.exit(command_line.run(main))
