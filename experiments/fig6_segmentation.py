"""Figure 6: does pre-training help segmentation? VOC 2012, DeepLab-ASPP-L from several starts.

Sun et al. 2017 (arXiv:1707.02968), section 5.3. Remembered, not verified: 300M is better than
ImageNet, both together are best, and mIOU grows about linearly in the logarithm of the size.

  python -m jft_reps.apps.build_records --source=voc_masks --input=VOC2012 \\
      --annotations=SegmentationClassAug --keep_ids=train_aug.txt --output=RECORDS \\
      --split=train_aug
  python -m jft_reps.apps.build_records --source=voc_masks --input=VOC2012 --output=RECORDS \\
      --split=val
  python -m jft_reps.apps.train --config=experiments/fig6_segmentation.py:300M --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS [--local_cluster=…]
  python -m jft_reps.apps.evaluate --config=…the same… --workdir=RUN [--submission=DIR]

`300M` takes 6.3 days on our 1 worker and 1 server, 151 GPU-hours (docs/cluster.md): 30,000 batches
of 6; the paper states no cluster. With `,laptop` any row takes minutes on two cores, on generated
pictures of held-out shapes.

Left plot: `ImageNet`, `300M`, `ImageNet+300M`. Right plot, against the size of the pre-training
set: `10M`, `30M`, `100M` and `300M`. `random`, not in the paper, starts from random weights.

Trained on the 10,582 pictures of train_aug (VOC 2012 train and the masks of Hariharan et al. 2011,
SBD, which may also be its `.mat` files: `--annotations=SegmentationClass,SBD/cls`), tested on the
1,449 of val. Options: `frozen` trains nothing before conv5 (not in the paper); `augmented` trains
on crops of 513 at scales 0.5 to 2, mirrored, as later DeepLabs do, and evaluates pictures at their
own size; `laptop`.

Deviations: the schedule and the sizes are from memory of the paper; whether batch-norm was trained
is not said, here its statistics are frozen (`task.batch_norm`) and its scales are trained; decay is
on kernels, where memory has all layers.
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

# The right plot's points were not recovered: it grows about linearly in the logarithm of the size.
EXPECTED = [
    ("ImageNet", "segmentation/mIOU", 0.736, 0.005, "figure 6, remembered", "memory"),
    ("300M", "segmentation/mIOU", 0.753, 0.005, "figure 6, remembered", "memory"),
    ("ImageNet+300M", "segmentation/mIOU", 0.765, 0.005, "figure 6, remembered", "memory"),
]

SIZES = ("10M", "30M", "100M")
ROWS = {
    "ImageNet": {"init.checkpoint": "ImageNet"},
    "300M": {"init.checkpoint": "300M"},
    "ImageNet+300M": {"init.checkpoint": "ImageNet+300M"},
    **{size: {"init.checkpoint": size} for size in SIZES},
    "random": {"init.checkpoint": "", "task.batch_norm": "recalibrate"},
}


def paper() -> ml_collections.ConfigDict:
  """The numbers of section 5.3."""
  base = fig3_pretraining.paper()
  return ml_collections.ConfigDict({
      "task": {
          "name": "segment",
          "records": "records",
          "train_split": "train_aug",
          "eval_splits": ("val",),
          "backbone": {**base.task.backbone.to_dict(), "output_stride": 8},
          "batch_size": 6,
          "batch_norm": "frozen",
          "recalibration_pictures": 100,
          "frozen_through": ml_collections.config_dict.placeholder(str),
          "resize": 514,
          "scale": (1.0, 1.0),
          "mirror": False,
          "crop": ml_collections.config_dict.placeholder(int),
          "rates": (6, 12, 18, 24),
          "shuffle": 2048,
      },
      "optimizer": {"name": "momentum", "momentum": 0.9},
      "schedule": {"name": "polynomial", "initial": 1e-3, "steps": 30_000, "power": 0.9,
                   "start": 0, "warm_up": 0},
      "train": {**base.train.to_dict(), "steps": 30_000, "keep_steps": (),
                "weight_decay": 5e-4, "checkpoint_every": 1000},
      "init": {"checkpoint": "", "allow": ()},
      "toy_world": {},
  })


def frozen(config: ml_collections.ConfigDict) -> None:
  """Nothing before conv5 is trained, as in the paper's study of frozen features in detection."""
  config.task.frozen_through = "conv4"


def augmented(config: ml_collections.ConfigDict) -> None:
  """Crops of 513 at scales 0.5 to 2, mirrored (Chen et al. 2017, arXiv:1706.05587)."""
  config.task.update({"resize": None, "scale": (0.5, 2.0), "mirror": True, "crop": 513})


def laptop(config: ml_collections.ConfigDict) -> None:
  """Minutes on two cores: generated pictures of held-out shapes, the quickstart's network."""
  config.task.update({
      "records": "{workdir}/records", "train_split": "masks_train",
      "eval_splits": ("masks_dev", "masks_test"), "batch_norm": "recalibrate", "batch_size": 8,
      "rates": (1, 2, 3, 4)})
  if config.task.resize is None:
    config.task.crop = 73
  else:
    config.task.resize = 73
  config.task.backbone.update(fig3_pretraining.LAPTOP_NETWORK)
  config.schedule.update({"initial": 0.03, "steps": 400, "start": 200, "warm_up": 20})
  config.train.update({"steps": 400, "checkpoint_every": 400, "log_every": 50,
                       "startup_delay": 0})
  config.toy_world = {
      "seed": 0, "size": 72, "processes": 2,
      "splits": {"masks_train": (1000, 2), "masks_dev": (200, 1), "masks_test": (600, 1)}}


# In the order in which they are applied.
OPTIONS = {"frozen": frozen, "augmented": augmented, "laptop": laptop}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,frozen][,augmented][,laptop]`."""
  return rows.configure(paper(), ROWS, OPTIONS, arg or "ImageNet+300M")


def runs(study: Study) -> None:
  """Training from every start, and from each size of pre-training."""
  study.four_starts("segment")
  for pictures in study.config.pictures:
    study.transfer("segment", study.noisy(pictures=pictures))


def pages(names: Names) -> list[Page]:
  """Both plots."""
  headings = TASKS["segment"].headings
  return [
      Page("fig6_segmentation", "Figure 6, left: segmentation from different starts", headings,
           arms.starts(names, "segment"), pairs=arms.pairs(names), says=arms.BEST,
           says_mark="memory", paper=arms.of_paper(EXPECTED, headings, names.rows),
           deviations=(*names.world(), *names.task("segment"), names.budgets())),
      Page("fig6_data_size", "Figure 6, right: segmentation against pictures", headings,
           {"fine-tuned": arms.sizes("segment")}, x="pictures", protocol=names.protocol(),
           says="mIOU grows about linearly in the logarithm of the pictures.", says_mark="memory",
           deviations=(*names.world(), *names.task("segment"), *names.sizes()))]
