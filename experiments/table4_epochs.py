"""Table 4: does pre-training longer help? COCO minival* from 12M, 24M and 36M steps of one run.

  python -m jft_reps.apps.train --config=experiments/table4_epochs.py:12M --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING/ckpt-12000000 --config.task.records=RECORDS

The pre-training (`fig3_pretraining:random`) keeps the three checkpoints as milestones
(`config.train.keep_steps`): 1.3, 2.6 and 4 epochs of 300M pictures. Cluster, schedule, options and
deviations as in `table2_coco`.
"""

from __future__ import annotations

import ml_collections

from experiments import table2_coco

ROWS = {row: {"init.checkpoint": row} for row in ("12M", "24M", "36M")}

EXPECTED = [
    (row, "coco/AP", ap, 0.005, "minival*, remembered", "memory")
    for row, ap in (("12M", 0.350), ("24M", 0.361), ("36M", 0.368))
]


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,huang][,atrous][,laptop]`."""
  return table2_coco.configure(ROWS, table2_coco.paper(), arg or "36M")
