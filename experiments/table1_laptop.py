"""Table 1 in miniature: does pre-training help a new classification task?

  for s in 0 1 2 3 4; do python -m experiments.quickstart --workdir=/tmp/seed$s --seed=$s; done
  python -m experiments.table1_laptop --workdir=/tmp/table1 --pretrained=/tmp/seed{seed} \\
      --output=experiments/results/table1_laptop.csv

Every start gets pictures of classes it never saw (2,000 to train on, 124 classes), three learning
rates of which a validation split chooses, trained batch-norm, and as many steps; the random start
is also run three times longer, with three rates too. A frozen start is a linear probe on features
whose batch-norm statistics were taken from the new pictures. Seeds cover pre-training, pictures and
weights; claims are paired differences over seeds. Goes on where it was; about three quarters of an
hour on two cores.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from absl import flags

from experiments import paired_starts
from jft_reps.apps import command_line

FLAGS = flags.FlagValues()
paired_starts.define_flags(FLAGS, steps=600)

CONFIG = "experiments/table1_imagenet.py"
NUMBERS = {"classification/top1": "dev_top1", "single_test: classification/top1": "test_top1",
           "single_test: classification/top5": "test_top5"}
RATES = (0.06, 0.2, 0.6)
TRAINED_ARMS = ("scratch_3x", "fine-tuned", "scratch", "frozen_random")
PAIRS = (("fine-tuned", "scratch"), ("fine-tuned", "scratch_3x"), ("frozen", "scratch"),
         ("frozen", "scratch_3x"), ("frozen", "frozen_random"))


def probed(comparison: paired_starts.Comparison, seed: int, arm: str) -> list[dict]:
  """A linear probe on frozen features, of the pre-training or of random weights."""
  workdir = comparison.folder(seed, arm)
  overrides = [*comparison.overrides(seed, arm == "frozen"),
               "--config.task.batch_norm=recalibrate"]
  if not paired_starts.is_done(workdir / "probe.json", overrides):
    paired_starts.program(
        "probe", f"--config={CONFIG}:frozen,laptop", f"--workdir={workdir}", *overrides)
  values = json.loads((workdir / "probe.json").read_text())["values"]
  return [comparison.row(seed, arm, 0.0, 0, values) | {"chosen": 1}]


def runs(comparison: paired_starts.Comparison, seed: int, arm: str) -> list[dict]:
  """All runs of one arm."""
  if arm.startswith("frozen"):
    return probed(comparison, seed, arm)
  tuned = arm == "fine-tuned"
  steps = FLAGS.steps * (3 if arm == "scratch_3x" else 1)
  return comparison.trained(seed, arm, "300M" if tuned else "random", steps, tuned)


def main(argv: Sequence[str]) -> int:
  command_line.parse(FLAGS, argv, __doc__, required=("workdir", "pretrained"))
  comparison = paired_starts.Comparison(CONFIG, NUMBERS, RATES, FLAGS.workdir, FLAGS.pretrained)
  paired_starts.compare(
      comparison, runs, TRAINED_ARMS, {"test_top1": "top-1", "test_top5": "top-5"}, PAIRS,
      "table1_laptop.csv", FLAGS)
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
