"""Table 6: does pre-training help human pose? COCO keypoints, the G-RMI system from three starts.

Sun et al. 2017 (arXiv:1707.02968), section 5.4. Remembered, not verified: 300M is better than
ImageNet. CMU's system is `CITED`.

  python -m jft_reps.apps.build_records --source=coco_keypoints --input=train2017 \\
      --annotations=person_keypoints_train2017.json --output=RECORDS --split=train
  python -m jft_reps.apps.build_records --source=coco_keypoints --input=val2017 \\
      --annotations=person_keypoints_val2017.json --output=RECORDS --split=val
  python -m jft_reps.apps.train --config=experiments/table6_pose.py:300M --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS [--local_cluster=…]
  python -m jft_reps.apps.evaluate --config=…the same… --workdir=RUN

`300M` takes 28.5 days on our 8 workers and 1 server, 5,474 GPU-hours (docs/cluster.md): 6.4M pushes
of 3 crops, `--config.train.steps=6400000`. The system the paper takes over (Papandreou et al. 2017)
has 16 GPUs on two machines and 24 crops a step, three on each: `--mirrored=8`. With `,laptop` any
row takes minutes on two cores, on generated figures.

  ImageNet      fine-tuned from ImageNet classification
  300M          from pre-training that started from random weights
  ImageNet+300M from pre-training that started from ImageNet's weights
  random        not in the paper: from random weights, batch-norm from the task's own crops

That evaluates in true boxes. The whole system looks for people first, with the detector of
`table2_coco` on the same records, conv4 at stride 8, trained on people alone:

  python -m jft_reps.apps.train --config=experiments/table2_coco.py:300M,atrous \\
      --workdir=DETECTOR --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS \\
      --config.task.eval_splits=val --config.schedule.values=3e-4,3e-5 \\
      --config.schedule.boundaries=800000 --config.train.steps=1000000
  python -m jft_reps.apps.evaluate --config=…the same… --workdir=DETECTOR --submission=BOXES
  python -m jft_reps.apps.evaluate --config=experiments/table6_pose.py:300M --workdir=RUN … \\
      --config.task.boxes=BOXES/{split}/results.json

Options: `frozen` trains nothing before conv5 (not in the paper), `laptop`.

Deviations: the numbers of the recipe are from memory of that paper. The losses are means over the
places of a map, whose number would scale the rate otherwise; points that nobody labelled are
negatives everywhere; the decay of the moving average of the weights, which is what is evaluated, is
not stated; the paper's numbers are of test-dev.
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
    ("ImageNet", "test-dev: keypoints/AP", 0.624, 0.005, f"{_SERVER}, public text", "found"),
    ("ImageNet", "test-dev: keypoints/AP50", 0.84, 0.005, f"{_SERVER}, public text", "found"),
    ("ImageNet", "test-dev: keypoints/AR", 0.667, 0.005, f"{_SERVER}, remembered", "memory"),
    ("ImageNet", "test-dev: keypoints/AR50", 0.866, 0.005, f"{_SERVER}, remembered", "memory"),
    ("300M", "test-dev: keypoints/AP", 0.648, 0.005, f"{_SERVER}, remembered", "memory"),
    ("300M", "test-dev: keypoints/AP50", 0.858, 0.005, f"{_SERVER}, remembered", "memory"),
    ("ImageNet+300M", "test-dev: keypoints/AP", 0.644, 0.005, f"{_SERVER}, remembered", "memory"),
    ("ImageNet+300M", "test-dev: keypoints/AP50", 0.857, 0.005, f"{_SERVER}, remembered", "memory"),
]
CITED = [  # which nothing here trains
    ("CMU", "test-dev: keypoints/AP", 0.618, f"{_SERVER}, public text", "found"),
    ("CMU", "test-dev: keypoints/AP50", 0.849, f"{_SERVER}, public text", "found"),
    ("CMU", "test-dev: keypoints/AR", 0.665, f"{_SERVER}, remembered", "memory"),
    ("CMU", "test-dev: keypoints/AR50", 0.872, f"{_SERVER}, remembered", "memory"),
]

ROWS = {
    "ImageNet": {"init.checkpoint": "ImageNet"},
    "300M": {"init.checkpoint": "300M"},
    "ImageNet+300M": {"init.checkpoint": "ImageNet+300M"},
    "random": {"init.checkpoint": "", "task.batch_norm": "recalibrate"},
}


def paper() -> ml_collections.ConfigDict:
  """The numbers of section 5.4, which are those of Papandreou et al. 2017."""
  base = fig3_pretraining.paper()
  return ml_collections.ConfigDict({
      "task": {
          "name": "pose",
          "records": "records",
          "schema": "coco",
          "train_split": "train",
          "eval_splits": ("val",),
          "boxes": "truth",
          "coco_backend": "pycocotools",
          "backbone": {**base.task.backbone.to_dict(), "output_stride": 8},
          "batch_size": 3,
          "batch_norm": "frozen",
          "recalibration_pictures": 100,
          "frozen_through": ml_collections.config_dict.placeholder(str),
          "crop": (353, 257),
          "enlarge": (1.0, 1.5),
          "radius": 25.0,
          "intermediate_unit": 10,
          "suppression": 0.5,
          "mirror": True,
          "shuffle": 2048,
      },
      "optimizer": {"name": "momentum", "momentum": 0.0},
      "schedule": {"name": "piecewise", "values": (5e-3,), "boundaries": (), "warm_up": 0},
      "train": {**base.train.to_dict(), "steps": 800_000, "keep_steps": (),
                "weight_decay": 0.0, "ema_decay": 0.9999},
      "init": {"checkpoint": "", "allow": ()},
      "toy_world": {},
  })


def frozen(config: ml_collections.ConfigDict) -> None:
  """Nothing before conv5 is trained, as in the paper's study of frozen features in detection."""
  config.task.frozen_through = "conv4"


def laptop(config: ml_collections.ConfigDict) -> None:
  """Minutes on two cores: generated figures of held-out looks, the quickstart's network."""
  config.task.update({
      "records": "{workdir}/records", "schema": "toy_world", "train_split": "figures_train",
      "eval_splits": ("figures_dev", "figures_test"), "crop": (65, 49), "radius": 5.0,
      "intermediate_unit": 1, "batch_norm": "recalibrate", "batch_size": 8})
  config.task.backbone.update(fig3_pretraining.LAPTOP_NETWORK)
  config.optimizer.momentum = 0.9
  config.schedule = {"name": "polynomial", "initial": 0.03, "steps": 600, "power": 1.0,
                     "start": 300, "warm_up": 20}
  config.train.update({"steps": 600, "checkpoint_every": 600, "log_every": 50,
                       "startup_delay": 0, "ema_decay": 0.99})
  config.toy_world = {
      "seed": 0, "size": 72, "processes": 2,
      "splits": {"figures_train": (300, 2), "figures_dev": (200, 1), "figures_test": (600, 1)}}


# In the order in which they are applied.
OPTIONS = {"frozen": frozen, "laptop": laptop}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,laptop]`."""
  return rows.configure(paper(), ROWS, OPTIONS, arg or "300M")


def runs(study: Study) -> None:
  """AP50 is at its end from every start, so what is left to learn is how long one trains."""
  study.four_starts("pose")
  study.transfer("pose", study.noisy(), times=3)


def pages(names: Names) -> list[Page]:
  """The table."""
  headings = TASKS["pose"].headings
  longer = {names.noisy_longer: {"task": "pose", **arms.TUNED, **arms.NOISY, "times": 3}}
  return [Page(
      "table6_pose", "Table 6: keypoints from different starts", headings,
      {**arms.starts(names, "pose"), **longer},
      pairs=(*arms.pairs(names), (names.noisy_longer, names.longer)),
      paper=(*arms.of_paper(EXPECTED, headings, names.rows), *arms.cited(CITED, headings)),
      says="300M is better than ImageNet.", says_mark="memory", deviations=(
          *names.world(), *names.task("pose"), names.budgets(), arms.SERVER,
          "People are looked for in their true boxes, not in those of a detector."))]
