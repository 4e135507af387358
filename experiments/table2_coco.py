"""Table 2: does pre-training help detection? COCO, Faster R-CNN from three initialisations.

Sun et al. 2017 (arXiv:1707.02968), section 5.2: both together are better than ImageNet alone;
remembered, not verified: so is 300M alone. The other systems of the table are `CITED`.

  python -m jft_reps.apps.build_records --source=coco --input=train2014,val2014 \\
      --annotations=instances_train2014.json,instances_val2014.json --leave_out_ids=MINIVAL \\
      --output=RECORDS --split=train
  python -m jft_reps.apps.build_records --source=coco --input=val2014 \\
      --annotations=instances_val2014.json --keep_ids=MINIVAL --output=RECORDS --split=minival
  python -m jft_reps.apps.train --config=experiments/table2_coco.py:ImageNet+300M --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS [--local_cluster=…]
  python -m jft_reps.apps.evaluate --config=…the same… --workdir=RUN [--submission=DIR]

`ImageNet+300M` takes 17.5 days on the paper's 9 workers and 11 servers, 3,777 GPU-hours, and
`300M,frozen` takes 7.0 days on the paper's 9 workers and 11 servers, 1,514 GPU-hours
(docs/cluster.md). With `,laptop` any row takes minutes on two cores, on generated pictures of
held-out shapes. MINIVAL is a list of image ids, one a line.

  ImageNet      fine-tuned from ImageNet classification
  300M          from pre-training that started from random weights
  ImageNet+300M from pre-training that started from ImageNet's weights
  random        not in the paper: from random weights, batch-norm from COCO's own pictures

Options: `frozen` trains nothing before conv5; `huang` samples 256 anchors and 64 boxes as the code
the paper cites; `atrous` has conv4 at stride 8 (the pose system's person detector); `laptop`.

Workers take one picture each and push asynchronously. Trained on train and the part of val that is
not minival*, 8,000 pictures; test-dev numbers need COCO's server.

Deviations: schedules, the frozen one too, are from memory of the paper, not from its text;
initialisation of the two dense layers is normal instead of uniform, of the same variance; the
paper's numbers are of test-dev, which only COCO's server can tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ml_collections

from experiments import fig3_pretraining, rows
from experiments.study import arms
from experiments.study.tasks import TASKS
from jft_reps.studies.report.pages import Page

if TYPE_CHECKING:
  from experiments.study.names import Names
  from experiments.study.runs import Study

_SERVER = "COCO's server"
EXPECTED = [
    ("ImageNet", "test-dev: coco/AP", 0.343, 0.005, f"{_SERVER}, public text", "found"),
    ("ImageNet", "test-dev: coco/AP50", 0.536, 0.005, f"{_SERVER}, remembered", "memory"),
    ("300M", "test-dev: coco/AP", 0.367, 0.005, f"{_SERVER}, remembered", "memory"),
    ("300M", "test-dev: coco/AP50", 0.569, 0.005, f"{_SERVER}, remembered", "memory"),
    ("ImageNet+300M", "test-dev: coco/AP", 0.374, 0.005, f"{_SERVER}, the paper's text", "seed"),
    ("ImageNet+300M", "test-dev: coco/AP50", 0.58, 0.005, f"{_SERVER}, public text", "found"),
    ("ImageNet+300M", "test-dev: coco/AP75", 0.401, 0.005, f"{_SERVER}, public text", "found"),
    ("ImageNet+300M", "test-dev: coco/APs", 0.175, 0.005, f"{_SERVER}, public text", "found"),
    ("ImageNet+300M", "test-dev: coco/APm", 0.411, 0.005, f"{_SERVER}, public text", "found"),
    ("ImageNet+300M", "test-dev: coco/APl", 0.512, 0.005, f"{_SERVER}, public text", "found"),
]
CITED = [  # which nothing here trains
    ("He et al.", "test-dev: coco/AP", 0.322, f"{_SERVER}, remembered", "memory"),
    ("He et al.", "test-dev: coco/AP50", 0.533, f"{_SERVER}, remembered", "memory"),
    ("Inception ResNet", "test-dev: coco/AP", 0.355, f"{_SERVER}, remembered", "memory"),
    ("Inception ResNet", "test-dev: coco/AP50", 0.563, f"{_SERVER}, remembered", "memory"),
]

# A row is a configuration; those of the studies and their page are `Study.four_starts` and
# `arms.starts`. `init.checkpoint` stands for a path, which is given as in the command above.
ROWS = {
    "ImageNet": {"init.checkpoint": "ImageNet"},
    "300M": {"init.checkpoint": "300M"},
    "ImageNet+300M": {"init.checkpoint": "ImageNet+300M"},
    "random": {"init.checkpoint": "", "task.batch_norm": "recalibrate"},
}


def paper() -> ml_collections.ConfigDict:
  """The numbers of section 5.2, and of the Faster R-CNN it takes over.

  Of Huang et al. 2017 (arXiv:1611.10012) and its code are the anchors, the 300 proposals after
  suppression at IoU 0.7, and gradients clipped at 10; the text of the paper has none of them.
  """
  base = fig3_pretraining.paper()
  return ml_collections.ConfigDict({
      "task": {
          "name": "detect",
          "records": "records",
          "train_split": "train",
          "eval_splits": ("minival",),
          "metric": "coco",
          "coco_backend": "pycocotools",
          "backbone": {**base.task.backbone.to_dict(), "output_stride": 16},
          "batch_norm": "frozen",
          "recalibration_pictures": 100,
          "frozen_through": ml_collections.config_dict.placeholder(str),
          "min_side": 600,
          "max_side": 1024,
          # As the paper's text has it: 64 anchors and 256 boxes.
          "sampling": {"rpn": 64, "rpn_positive": 0.5, "boxes": 256, "boxes_positive": 0.25},
          "anchors": {"base": 256.0, "scales": (0.25, 0.5, 1.0, 2.0), "aspects": (0.5, 1.0, 2.0)},
          "rpn_rate": 1,
          "proposals": 300,
          "mirror": True,
          "shuffle": 2048,
      },
      "optimizer": {"name": "momentum", "momentum": 0.9},
      "schedule": {"name": "piecewise", "values": (4e-4, 4e-5), "boundaries": (2_500_000,),
                   "warm_up": 0},
      "train": {**base.train.to_dict(), "steps": 3_000_000, "keep_steps": (),
                "weight_decay": 0.0, "gradient_clip": 10.0},
      "init": {"checkpoint": "", "allow": ()},
      "toy_world": {},
  })


def frozen(config: ml_collections.ConfigDict) -> None:
  """Nothing before conv5 is trained, by a schedule of its own: ÷ 10 at 900K of 1.5M steps.

  That is half of COCO's 3M, as it converges earlier (remembered of the paper, not verified). It is
  the only frozen schedule that is known, so VOC's frozen rows have it too, where it is longer than
  the 700K of fine-tuning.
  """
  config.task.frozen_through = "conv4"
  config.schedule.boundaries = (900_000,)
  config.train.steps = 1_500_000


def huang(config: ml_collections.ConfigDict) -> None:
  """The sampling of the code the paper cites: 256 anchors, 64 boxes."""
  config.task.sampling.update({"rpn": 256, "boxes": 64})


def atrous(config: ml_collections.ConfigDict) -> None:
  """conv4 at stride 8, with the region proposal network's convolution at rate 2."""
  config.task.backbone.output_stride = 8
  config.task.rpn_rate = 2


def laptop(config: ml_collections.ConfigDict) -> None:
  """Minutes on two cores: generated pictures of held-out shapes, the quickstart's network."""
  config.task.update({
      "records": "{workdir}/records", "train_split": "boxes_train",
      "eval_splits": ("boxes_dev", "boxes_test"), "min_side": 96, "max_side": 96,
      "proposals": 64, "batch_norm": "recalibrate"})
  config.task.sampling.update({"rpn": 64, "boxes": 32})
  config.task.anchors.update({"base": 32.0, "scales": (0.5, 1.0, 2.0)})
  config.task.backbone.update(fig3_pretraining.LAPTOP_NETWORK)
  config.schedule = {"name": "polynomial", "initial": 0.01, "steps": 1200, "power": 1.0,
                     "start": 600, "warm_up": 50}
  config.train.update({"steps": 1200, "checkpoint_every": 1200, "log_every": 50,
                       "startup_delay": 0})
  config.toy_world = {
      "seed": 0, "size": 72, "processes": 2,
      "splits": {"boxes_train": (2000, 2), "boxes_dev": (200, 1), "boxes_test": (600, 1)}}


# In the order in which they are applied.
OPTIONS = {"frozen": frozen, "laptop": laptop, "huang": huang, "atrous": atrous}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,huang][,atrous][,laptop]`."""
  return rows.configure(paper(), ROWS, OPTIONS, arg or "ImageNet+300M")


def runs(study: Study) -> None:
  """Training from every start."""
  study.four_starts("detect")


def pages(names: Names) -> list[Page]:
  """The table, and what 300M gained over random weights by class and size of objects."""
  headings = TASKS["detect"].headings
  return [Page(
      "table2_coco", "Table 2: detection from different starts", headings,
      arms.starts(names, "detect"), pairs=arms.pairs(names), gained=(names.random, names.noisy),
      paper=(*arms.of_paper(EXPECTED, headings, names.rows), *arms.cited(CITED, headings)),
      says=arms.BEST, says_mark="memory",
      deviations=(*names.world(), *names.task("detect"), names.budgets(), arms.SERVER))]
