"""Table 4: does pre-training longer help? COCO minival* from 12M, 24M and 36M steps of one run.

Sun et al. 2017 (arXiv:1707.02968), section 5.2. Remembered, not verified: longer is
better.

  python -m jft_reps.apps.train --config=experiments/table4_epochs.py:12M --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING/ckpt-12000000 --config.task.records=RECORDS

`36M` takes 17.5 days on the paper's 9 workers and 11 servers, 3,777 GPU-hours (docs/cluster.md);
with `,laptop` minutes on two cores.

The pre-training (`fig3_pretraining:random`) keeps the three checkpoints as milestones
(`config.train.keep_steps`): 1.3, 2.6 and 4 epochs of 300M pictures. Cluster, schedule, options and
deviations as in `table2_coco`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ml_collections

from experiments import rows, table2_coco
from experiments.study import arms
from experiments.study.tasks import TASKS
from jft_reps.studies.report.pages import Page

if TYPE_CHECKING:
  from experiments.study.names import Names
  from experiments.study.runs import Study

EXPECTED = [
    (row, "coco/AP", ap, 0.005, "minival*, remembered", "memory")
    for row, ap in (("12M", 0.350), ("24M", 0.361), ("36M", 0.368))
]

ROWS = {row: {"init.checkpoint": row} for row in ("12M", "24M", "36M")}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,huang][,atrous][,laptop]`."""
  return rows.configure(table2_coco.paper(), ROWS, table2_coco.OPTIONS, arg or "36M")


def runs(study: Study) -> None:
  """Detection from each third of one pre-training."""
  for third in (1, 2, 3):
    study.transfer("detect", study.noisy(third=third))


def pages(names: Names) -> list[Page]:
  """The table."""
  first, second, last = moments = [names.moment(third) for third in (1, 2, 3)]
  headings = TASKS["detect"].headings
  return [Page(
      "table4_epochs", "Table 4: detection from three moments of one pre-training", headings,
      {moment: {"task": "detect", **arms.TUNED, **arms.NOISY, "third": third}
       for third, moment in enumerate(moments, 1)},
      pairs=((last, first), (last, second)),
      paper=arms.of_paper(EXPECTED, headings, dict(zip(ROWS, moments))),
      says="Longer pre-training is better.", says_mark="memory",
      deviations=(*names.world(), *names.task("detect"), *names.length()))]
