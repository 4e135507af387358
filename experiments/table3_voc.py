"""Table 3: does pre-training help detection of VOC? VOC 2007 test, Faster R-CNN from three starts.

Sun et al. 2017 (arXiv:1707.02968), section 5.2. Remembered, not verified: 300M is better than
ImageNet, and both together are no better.

  python -m jft_reps.apps.build_records --source=voc --input=VOC2007,VOC2012 --output=RECORDS \\
      --voc_set=trainval --split=trainval
  python -m jft_reps.apps.build_records --source=voc --input=VOC2007 --output=RECORDS --split=test
  python -m jft_reps.apps.train --config=experiments/table3_voc.py:300M --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS [--local_cluster=…]

`300M` takes 4.1 days on the paper's 9 workers and 11 servers, 881 GPU-hours (docs/cluster.md); with
`,laptop` minutes on two cores, but the generated pictures have no VOC: they are table 2's.

Rows and options as in `table2_coco`; the option `late` takes the other schedule that memory offers:
÷ 10 at 590K of 900K steps. Trained on the 16,551 pictures of VOC 2007 and 2012 trainval, tested on
the 4,952 of VOC 2007 test.

Deviations: the schedule is uncertain: 3e-4, ÷ 10 at 500K of 700K steps is the better guess. That of
frozen features is not known for VOC: `frozen` has COCO's 1.5M steps, more than fine-tuning. AP is
the area under the curve; the paper does not say which of VOC's two definitions it reports.
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
    ("ImageNet", "voc/mAP", 0.763, 0.005, "remembered", "memory"),
    ("300M", "voc/mAP", 0.814, 0.005, "remembered", "memory"),
    ("ImageNet+300M", "voc/mAP", 0.813, 0.005, "remembered", "memory"),
]

ROWS = table2_coco.ROWS


def paper() -> ml_collections.ConfigDict:
  """What differs from COCO: sets, measure and schedule."""
  config = table2_coco.paper()
  config.task.update({"train_split": "trainval", "eval_splits": ("test",), "metric": "voc"})
  config.schedule.update({"values": (3e-4, 3e-5), "boundaries": (500_000,)})
  config.train.steps = 700_000
  return config


def late(config: ml_collections.ConfigDict) -> None:
  """The other schedule that memory offers."""
  config.schedule.boundaries = (590_000,)
  config.train.steps = 900_000


OPTIONS = {"late": late, **table2_coco.OPTIONS}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,late][,huang][,atrous][,laptop]`, or `frozen`, which has COCO's schedule, for `late`."""
  if {"late", "frozen"} <= set(arg.split(",")):
    raise ValueError(f"{arg!r}: late or frozen, each has a schedule of its own")
  return rows.configure(paper(), ROWS, OPTIONS, arg or "ImageNet+300M")


def runs(study: Study) -> None:
  """Training from the paper's three starts; the generated world has no VOC."""
  for start in (study.clean(), study.noisy(), study.noisy(clean=True)):
    study.transfer("voc", start)


def pages(names: Names) -> list[Page]:
  """The table, at full size alone."""
  if "voc" not in names.config.tasks:
    return []
  headings = TASKS["voc"].headings
  starts = {name: {"task": "voc", **arms.TUNED, **start} for name, start in (
      (names.clean, arms.CLEAN), (names.noisy, arms.NOISY), (names.both, arms.BOTH))}
  return [Page(
      "table3_voc", "Table 3: detection of PASCAL VOC from different starts", headings, starts,
      pairs=((names.noisy, names.clean), (names.both, names.clean), (names.both, names.noisy)),
      paper=arms.of_paper(EXPECTED, headings, names.rows),
      says="300M is better than ImageNet, and both together are no better.", says_mark="memory",
      deviations=(*names.world(), *names.task("voc"), names.budgets()))]
