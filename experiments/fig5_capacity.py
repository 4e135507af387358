"""Figure 5: do deeper networks gain more? COCO minival* with ResNet-50, 101 and 152.

  python -m jft_reps.apps.train --config=experiments/fig5_capacity.py:152-300M --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS

Rows are a depth and an initialisation, `ImageNet` or `300M`. Cluster, schedule, options and
deviations as in `table2_coco`.

The bars' heights were not recovered, so there is no number to compare a run with. The text gives
the gain of 300M over ImageNet: 1.87 points of AP for ResNet-50 and 3 for ResNet-152 (`GAINS`).
"""

from __future__ import annotations

import ml_collections

from experiments import table2_coco

DEPTHS = (50, 101, 152)
ROWS = {
    f"{depth}-{start}": {"init.checkpoint": start, "task.backbone.depth": depth}
    for depth in DEPTHS for start in ("ImageNet", "300M")
}

EXPECTED = []
GAINS = [  # points of coco/AP, by depth
    (50, 1.87, "the paper's text; which networks, by public summaries", "found"),
    (152, 3.0, "the paper's text; which networks, by public summaries", "found"),
]


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,huang][,atrous][,laptop]`; on a laptop depths are 14, 26 and 50, an eighth as
  wide."""
  arg = arg or "101-300M"
  config = table2_coco.configure(ROWS, table2_coco.paper(), arg)
  if "laptop" in arg.split(","):
    depth = int(arg.partition("-")[0])
    config.task.backbone.depth = {50: 14, 101: 26, 152: 50}[depth]
  return config
