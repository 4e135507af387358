"""Figure 6 in miniature: does pre-training help segmentation?

  for s in 0 1 2 3 4; do python -m experiments.quickstart --workdir=/tmp/seed$s --seed=$s; done
  python -m experiments.fig6_laptop --workdir=/tmp/fig6 --pretrained=/tmp/seed{seed} \\
      --output=experiments/results/fig6_laptop.csv

Every start gets pictures with masks of shapes it never saw (1,000 to train on, 31 classes and the
background), batch-norm statistics from these pictures, four learning rates of which a validation
split chooses, and as many steps; the random start is also run three times longer, with four rates
too. A frozen start trains nothing before conv5. Seeds cover pre-training, pictures and weights;
claims are paired differences over seeds. Goes on where it was; 45 minutes on two cores.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from experiments import paired_starts
from jft_reps.apps import command_line

FLAGS = flags.FlagValues()
paired_starts.define_flags(FLAGS, steps=400)

CONFIG = "experiments/fig6_segmentation.py"
NUMBERS = {"segmentation/mIOU": "dev_miou", "masks_test: segmentation/mIOU": "test_miou",
           "masks_test: segmentation/pixel accuracy": "test_pixels"}
RATES = (0.01, 0.03, 0.1, 0.3)


def main(argv: Sequence[str]) -> int:
  return paired_starts.trained(argv, FLAGS, __doc__, CONFIG, NUMBERS, RATES,
                               {"test_miou": "mIOU", "test_pixels": "pixels"})


if __name__ == "__main__":
  sys.exit(command_line.run(main))
