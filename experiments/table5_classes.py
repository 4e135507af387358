"""Table 5: pictures or labels? COCO minival* from pre-training on 30M pictures, few or all classes.

  python -m jft_reps.apps.train --config=experiments/table5_classes.py:18K --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS

  1K   pre-trained with the 941 labels that correspond to ImageNet's, on the 30M pictures that have
       at least one of them
  18K  pre-trained with all 18,291 labels, on 30M pictures

Both pre-trainings run four epochs by the scheme of section 4.1. Cluster, schedule, options and
deviations as in `table2_coco`.
"""

from __future__ import annotations

import ml_collections

from experiments import table2_coco

ROWS = {row: {"init.checkpoint": row} for row in ("1K", "18K")}

EXPECTED = [
    (row, "coco/AP", ap, 0.005, "minival*, remembered", "memory")
    for row, ap in (("1K", 0.312), ("18K", 0.319))
]


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,huang][,atrous][,laptop]`."""
  return table2_coco.configure(ROWS, table2_coco.paper(), arg or "18K")
