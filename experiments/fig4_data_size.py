"""Figure 4: detection against the size of the pre-training set, fine-tuned and frozen.

  python -m jft_reps.apps.train --config=experiments/fig4_data_size.py:coco-30M[,frozen] \\
      --workdir=RUN --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS

Rows are a detection set (`coco`: left plot, AP on minival*; `voc`: right plot, mAP@.5 on VOC 2007
test) and a random subset of the pre-training pictures: 10M, 30M, 100M, all 300M. The checkpoint of
each is that of its fourth epoch, under the schedule of the whole set. Blue is fine-tuned, red is
`,frozen`: nothing before conv5 is trained. Clusters, schedules and deviations as in `table2_coco`
and `table3_voc`, options as in the former.

The plots' other points were not recovered; what the paper says of them is that performance grows
about linearly in the logarithm of the size, with no plateau at 300M, and that fine-tuning is
better at every size.
"""

from __future__ import annotations

import ml_collections

from experiments import table2_coco, table3_voc

SIZES = ("10M", "30M", "100M", "300M")
ROWS = {f"{name}-{size}": {"init.checkpoint": size} for name in ("coco", "voc") for size in SIZES}

EXPECTED = [
    ("coco-30M", "coco/AP", 0.319, 0.01, "table 5, fine-tuned, remembered", "memory"),
    ("coco-300M", "coco/AP", 0.368, 0.01, "table 4, fine-tuned, remembered", "memory"),
    ("voc-300M", "voc/mAP", 0.814, 0.01, "table 3, fine-tuned, remembered", "memory"),
]


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,huang][,atrous][,laptop]`."""
  arg = arg or "coco-300M"
  base = table3_voc if arg.startswith("voc") else table2_coco
  return table2_coco.configure(ROWS, base.paper(), arg)
