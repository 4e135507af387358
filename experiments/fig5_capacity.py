"""Figure 5: do deeper networks gain more? COCO minival* with ResNet-50, 101 and 152.

Sun et al. 2017 (arXiv:1707.02968), section 5.2: 300M gains more over ImageNet with ResNet-152 than
with ResNet-50 (`GAINS`).

  python -m jft_reps.apps.train --config=experiments/fig5_capacity.py:152-300M --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS

`50-300M` takes 14.6 days on the paper's 9 workers and 11 servers, 3,164 GPU-hours, and
`152-300M` takes 20.3 days on the paper's 9 workers and 11 servers, 4,389 GPU-hours (see
docs/cluster.md); with `,laptop` minutes on two cores.

Rows are a depth and an initialisation, `ImageNet` or `300M`. Cluster, schedule, options and
deviations as in `table2_coco`. The bars' heights were not recovered, so there is no number to
compare a run with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ml_collections

from experiments import rows, table2_coco
from experiments.study import arms
from experiments.study.tasks import TASKS
from jft_reps.studies.report.pages import Page, PaperNumber

if TYPE_CHECKING:
  from experiments.study.names import Names
  from experiments.study.runs import Study

EXPECTED = []
GAINS = [  # points of coco/AP, by depth
    (50, 1.87, "the paper's text; which networks, by public summaries", "found"),
    (152, 3.0, "the paper's text; which networks, by public summaries", "found"),
]

DEPTHS = (50, 101, 152)
ROWS = {
    f"{depth}-{start}": {"init.checkpoint": start, "task.backbone.depth": depth}
    for depth in DEPTHS for start in ("ImageNet", "300M")
}


def laptop(config: ml_collections.ConfigDict) -> None:
  """The laptop's detection, with its own three depths in place of the paper's."""
  depth = config.task.backbone.depth
  table2_coco.laptop(config)
  config.task.backbone.depth = {50: 14, 101: 26, 152: 50}[depth]


OPTIONS = {**table2_coco.OPTIONS, "laptop": laptop}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,huang][,atrous][,laptop]`; on a laptop depths are 14, 26 and 50, an eighth as
  wide."""
  return rows.configure(table2_coco.paper(), ROWS, OPTIONS, arg or "101-300M")


def runs(study: Study) -> None:
  """Detection from both pre-trainings of each depth."""
  for depth in study.config.depths:
    study.transfer("detect", study.noisy(depth=depth))
    study.transfer("detect", study.clean(depth=depth))


def pages(names: Names) -> list[Page]:
  """Who gains more, and the mAP@100 of the pre-trainings."""
  layers = {name: names.depth(name) for name in ("shallow", "base", "deep")
            if name in names.config.depths}
  smaller = [name for name in layers if name != "deep"] if "deep" in layers else []
  return [
      _detection(names, layers, smaller),
      Page("fig5_fasteval", "mAP@100 with a deeper network", TASKS["pretrain"].headings,
           {layers[name]: {"task": "pretrain", **arms.NOISY, "depth": name} for name in layers},
           pairs=tuple((layers["deep"], layers[name]) for name in smaller),
           definitions=arms.LEAVES, says="Not a figure of the paper.",
           deviations=(*names.world(), *names.deeper()))]


def _detection(names: Names, layers: dict[str, str], smaller: list[str]) -> Page:
  """Both starts at each depth; `smaller` depths are compared with the deepest."""
  arm = lambda start, name: f"{start}, {layers[name]}"
  both = lambda name: (arm(names.noisy, name), arm(names.clean, name))
  deeper = [(arm(start, "deep"), arm(start, name)) for name in smaller
            for start in (names.noisy, names.clean)]
  starts = {names.clean: arms.CLEAN, names.noisy: arms.NOISY}
  return Page(
      "fig5_capacity", "Figure 5: detection with a deeper network", TASKS["detect"].headings,
      {arm(start, name): {**tags, "depth": name, "task": "detect", **arms.TUNED}
       for name in layers for start, tags in starts.items()},
      pairs=(*map(both, layers), *deeper),
      interactions=tuple((both("deep"), both(name)) for name in smaller),
      paper=tuple(PaperNumber(f"gain of 300M over ImageNet, ResNet-{depth}", "AP", points / 100,
                              source, mark) for depth, points, source, mark in GAINS),
      says="300M gains more over ImageNet with ResNet-152 than with ResNet-50.",
      says_mark="found",
      deviations=(*names.world(), *names.task("detect"), *names.deeper(), "The given translation "
                  "of the paper has the two gains the other way round; here they stand as its "
                  "sentence and public summaries have them."))
