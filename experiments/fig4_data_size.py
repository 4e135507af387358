"""Figure 4: do more pictures help? Detection against their number, fine-tuned and frozen.

Sun et al. 2017 (arXiv:1707.02968), section 5.2: performance grows about linearly in the logarithm
of the size. Remembered, not verified: no plateau at 300M; fine-tuning is better at every size.

  python -m jft_reps.apps.train --config=experiments/fig4_data_size.py:coco-30M[,frozen] \\
      --workdir=RUN --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS

`coco-30M` takes 17.5 days on the paper's 9 workers and 11 servers, 3,777 GPU-hours,
`coco-30M,frozen` takes 7.0 days on the paper's 9 workers and 11 servers, 1,514 GPU-hours, and
`voc-30M` takes 4.1 days on the paper's 9 workers and 11 servers, 881 GPU-hours (docs/cluster.md);
with `,laptop` minutes on two cores.

Rows are a detection set (`coco`: left plot, AP on minival*; `voc`: right plot, mAP@.5 on VOC 2007
test) and a random subset of the pre-training pictures: 10M, 30M, 100M, all 300M. The checkpoint of
each is that of its fourth epoch, under the schedule of the whole set. Blue is fine-tuned, red is
`,frozen`: nothing before conv5 is trained. Clusters, schedules and deviations as in `table2_coco`
and `table3_voc`, options as in the former. The plots' other points were not recovered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ml_collections

from experiments import rows, table2_coco, table3_voc
from experiments.study import arms
from experiments.study.tasks import TASKS
from jft_reps.studies.report.pages import Page

if TYPE_CHECKING:
  from experiments.study.names import Names
  from experiments.study.runs import Study

EXPECTED = [
    ("coco-30M", "coco/AP", 0.319, 0.01, "table 5, remembered", "memory"),
    ("coco-300M", "coco/AP", 0.368, 0.01, "table 4, remembered", "memory"),
    ("voc-300M", "voc/mAP", 0.814, 0.01, "table 3, remembered", "memory"),
]

SIZES = ("10M", "30M", "100M", "300M")
ROWS = {f"{name}-{size}": {"init.checkpoint": size} for name in ("coco", "voc") for size in SIZES}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,huang][,atrous][,laptop]`."""
  arg = arg or "coco-300M"
  base = table3_voc if arg.startswith("voc") else table2_coco
  return rows.configure(base.paper(), ROWS, table2_coco.OPTIONS, arg)


def runs(study: Study) -> None:
  """Detection from pre-training on each size, fine-tuned and frozen."""
  for pictures in study.config.pictures:
    for task in ("detect", "voc"):
      for frozen in (False, True):
        if task in study.config.tasks:
          study.transfer(task, study.noisy(pictures=pictures), frozen)


def pages(names: Names) -> list[Page]:
  """mAP@100 of the pre-trainings, and a curve of each detection set."""
  curves = [Page(
      "fig4_fasteval", "mAP@100 against pictures", TASKS["pretrain"].headings,
      {"random start": arms.sizes("pretrain")}, x="pictures", protocol=names.protocol(),
      definitions=arms.LEAVES, deviations=names.world(),
      says="Not a figure of the paper, which measures its pre-training by detection."),
      _curve(names, "fig4_data_size", "Figure 4: detection", "detect", "coco")]
  if "voc" in names.config.tasks:
    curves.append(_curve(names, "fig4_voc", "Figure 4, right: PASCAL VOC", "voc", "voc"))
  return curves


def _curve(names: Names, name: str, what: str, task: str, prefix: str) -> Page:
  """Detection against pictures; `prefix` of the rows of the set."""
  headings = TASKS[task].headings
  points = {f"{prefix}-{size}": f"fine-tuned, {size} pictures" for size in SIZES}
  return Page(
      name, f"{what} against pictures, fine-tuned and frozen", headings,
      {"fine-tuned": arms.sizes(task), "frozen": arms.sizes(task, True)}, x="pictures",
      pairs=(("fine-tuned", "frozen"),), protocol=names.protocol(),
      paper=arms.of_paper(EXPECTED, headings, points), says_mark="seed",
      says="Performance grows about linearly in the logarithm of the pictures.",
      deviations=(*names.world(), *names.task(task), *names.sizes(), "Remembered of the paper, not "
                  "verified: no plateau at 300M, and fine-tuning is better than frozen features at "
                  "every size."))
