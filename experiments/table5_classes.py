"""Table 5: pictures or labels? COCO minival* from pre-training on 30M pictures, few or all classes.

Sun et al. 2017 (arXiv:1707.02968), section 5.2. Remembered, not verified: on par,
so pictures help more than labels.

  python -m jft_reps.apps.train --config=experiments/table5_classes.py:18K --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS

`18K` takes 17.5 days on the paper's 9 workers and 11 servers, 3,777 GPU-hours (docs/cluster.md);
with `,laptop` minutes on two cores.

  1K   pre-trained with the 941 labels that correspond to ImageNet's, on the 30M pictures that have
       at least one of them
  18K  pre-trained with all 18,291 labels, on 30M pictures

Both pre-trainings run four epochs by the scheme of section 4.1. Cluster, schedule, options and
deviations as in `table2_coco`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ml_collections

from experiments import rows, table2_coco
from experiments.study import arms
from experiments.study.names import has_labels_above
from experiments.study.tasks import TASKS
from jft_reps.studies.report.pages import Page

if TYPE_CHECKING:
  from experiments.study.names import Names
  from experiments.study.runs import Study

EXPECTED = [
    (row, "coco/AP", ap, 0.005, "minival*, remembered", "memory")
    for row, ap in (("1K", 0.312), ("18K", 0.319))
]

ROWS = {row: {"init.checkpoint": row} for row in ("1K", "18K")}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,huang][,atrous][,laptop]`."""
  return rows.configure(table2_coco.paper(), ROWS, table2_coco.OPTIONS, arg or "18K")


def runs(study: Study) -> None:
  """Detection from pre-training with all labels, with fewer, and with these and those above them,
  which see the same pictures; the paper has no such row."""
  config = study.config
  for labels in ("all", "fewer", *(["above"] if has_labels_above(config) else [])):
    study.transfer("detect", study.noisy(pictures=config.fewer_labels_pictures, labels=labels))


def pages(names: Names) -> list[Page]:
  """The table."""
  labels, headings = names.labels(), TASKS["detect"].headings
  fewer, *above, whole = labels.values()
  of = {"task": "detect", "start": "noisy", "size": "fewer", **arms.BASE, **arms.TUNED}
  return [Page(
      "table5_classes", "Table 5: detection from fewer labels, as many pictures", headings,
      {arm: {**of, "labels": name} for name, arm in labels.items()},
      pairs=((whole, fewer), *((a, b) for arm in above for a, b in ((arm, fewer), (whole, arm)))),
      paper=arms.of_paper(EXPECTED, headings, {"1K": fewer, "18K": whole}),
      says="On par: pictures help more than labels.", says_mark="memory",
      deviations=(*names.world(), *names.task("detect"), names.fewer()))]
