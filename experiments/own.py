"""Own pictures, on a laptop or one GPU: four sizes of network, and all else from the records.

  jft-reps build_records --input=PICTURES --output=RECORDS --hold_out=10%
  jft-reps train --config=own:small --records=RECORDS --workdir=RUN
  jft-reps evaluate --workdir=RUN

The task is what the records hold: labels, boxes, masks or people's keypoints. Sizes of pictures,
batch, steps, schedule and warm-up follow from the records and from `epochs`; `train` prints each
with where it comes from, and --config.KEY=VALUE takes its place. --config.init.checkpoint=WEIGHTS
starts from a run or from public weights, whose network it then takes.

How much more pictures would help: `jft-reps study --plan=own:small`, see `own_study.py`.

  tiny       ResNet-14, an eighth as wide: a first look, minutes on two cores
  small      ResNet-26, a quarter as wide: half an hour on two cores for a few thousand pictures
  resnet50   He et al.'s (2015), on a GPU
  resnet101  the paper's
"""

from experiments.own_rows import SIZES, complete, get_config
from experiments.own_study import get_config as plan_config
from experiments.own_study import pages, plan

__all__ = ["SIZES", "complete", "get_config", "pages", "plan", "plan_config"]
