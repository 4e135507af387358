"""Figure 3: where should pre-training on JFT-300M start? mAP@100 on FastEval14k over its steps.

Sun et al. 2017 (arXiv:1707.02968), sections 3, 4.1 and 4.2: ImageNet's weights are ahead for the
first 15M of 36M steps, then both starts are equal.

  python -m jft_reps.apps.train --config=experiments/fig3_pretraining.py:random --workdir=RUN \\
      --config.task.records=RECORDS --config.task.hierarchy=FILE [--local_cluster=…]
  python -m jft_reps.apps.evaluate --config=…the same… --workdir=RUN --follow

`random` takes 60.0 days on the paper's 50 workers (one K80 each) and 17 servers, 72,000 GPU-hours:
36M pushes of 32 pictures in about two months, as the paper says. `:random,laptop` takes a few
minutes on two cores, with generated pictures: `--local_cluster=workers=2,ps=2`.

Deviations: rho and epsilon of RMSProp are slim's presets, the paper states neither; which of the
ResNet v1 stride placements was used is not stated either; JFT-300M and FastEval14k are private,
so bring your own records with `build_records`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ml_collections

from experiments import rows
from experiments.study import arms
from experiments.study.tasks import TASKS
from jft_reps.studies.report.pages import Page

if TYPE_CHECKING:
  from experiments.study.names import Names
  from experiments.study.runs import Study

# The curves of figure 3 were not recovered: there is no number to compare with.
EXPECTED = []

ROWS = {
    "random": {"init.checkpoint": ""},  # blue in the figure
    "imagenet": {"init.checkpoint": "imagenet"},  # yellow: --config.init.checkpoint=PATH
}

# Of the quickstart, and of whatever goes on with its weights.
LAPTOP_NETWORK = {"depth": 14, "width": 0.125, "stem": "small", "batch_norm_momentum": 0.9}


def paper() -> ml_collections.ConfigDict:
  """The numbers of sections 4.1 and 3."""
  return ml_collections.ConfigDict({
      "task": {
          "name": "pretrain",
          "records": "records",
          "train_split": "train",
          "eval_splits": ("fasteval",),
          "hierarchy": ml_collections.config_dict.placeholder(str),
          "hierarchy_format": "edges",
          "backbone": {
              "depth": 101,
              "width": 1.0,
              "stem": "imagenet",
              # What weights that are loaded prescribe, else the defaults of ResNet (He et al.).
              "stride_placement": ml_collections.config_dict.placeholder(str),
              "padding": ml_collections.config_dict.placeholder(str),
              "pre_activation": ml_collections.config_dict.placeholder(bool),
              "batch_norm_epsilon": ml_collections.config_dict.placeholder(float),
              "batch_norm_momentum": 0.997,
              "compute_dtype": "float32",
          },
          "classifier_shards": 50,
          "batch_size": 32,  # per worker: 90M × 32 / 300M is the paper's "about 10 epochs"
          "resize": 340,
          "crop": 299,
          "prior": "records",
          "class_weights": ml_collections.config_dict.placeholder(str),
          "k": 100,
          "restrict": "before",
          "reading": "class",
          "eval_classes": ml_collections.config_dict.placeholder(str),  # about 6,000 of 18,291
          "max_labels": 64,
          "eval_max_labels": 256,
          "classes": ml_collections.config_dict.placeholder(str),  # 941 of 18,291 in Table 5
          "noise": {"wrong": 0.0, "missing": 0.0, "seed": 0},  # on top of what the records have
          "negatives": "all",
          "min_confidence": 0.0,
          "shuffle": 2048,
          "eval_batch_size": 64,
      },
      "optimizer": {"name": "rmsprop", "rho": 0.9, "momentum": 0.9, "epsilon": 1.0},
      "schedule": {"name": "exponential", "initial": 1e-3, "rate": 0.9, "every": 3_000_000,
                   "staircase": True, "warm_up": 0},
      "train": {
          "steps": 36_000_000,  # of a 90M schedule
          "weight_decay": 1e-4,
          "ema_decay": 0.0,
          "checkpoint_every": 20_000,
          "keep": 5,
          "keep_steps": (12_000_000, 24_000_000, 36_000_000),  # table 4
          "log_every": 100,
          "seed": 0,
          "in_flight": ml_collections.config_dict.placeholder(int),
          "inner_steps": 1,
          "startup_delay": 15,
          "liveness_timeout": 600.0,
          "max_restarts": 5,
          "max_skipped": 10,
      },
      "init": {"checkpoint": "", "allow": ()},
      "toy_world": {},
  })


def laptop(config: ml_collections.ConfigDict) -> None:
  """Minutes on two cores: generated pictures, a narrow ResNet-14, a rate that short runs need.

  With epsilon 1.0 and rate 1e-3, RMSProp learns little beyond label frequencies in minutes.
  Momentum is the same rule at a useful size of step. It is 0.3, not 0.9: two workers in turn are
  momentum of their own (Mitliagkas et al. 2016), and with 0.9 the loss after 850 steps is 29.7
  where one worker has 27.4.
  """
  config.task.update({
      "records": "{workdir}/records", "hierarchy": "{workdir}/records/hierarchy.csv",
      "classifier_shards": 4, "resize": 72, "crop": 64, "eval_batch_size": 250})
  config.task.backbone.update(LAPTOP_NETWORK)
  config.optimizer = {"name": "momentum", "momentum": 0.3}
  config.schedule = {"name": "polynomial", "initial": 0.5, "steps": 4500, "power": 1.0,
                     "start": 2700, "warm_up": 50}
  config.train.update({
      "steps": 4500, "checkpoint_every": 750, "keep_steps": (), "log_every": 50,
      "startup_delay": 0})
  config.toy_world = {
      "seed": 0, "size": 72, "wrong": 0.2, "processes": 2,
      "splits": {"train": (20_000, 8), "fasteval": (1000, 1)}}


OPTIONS = {"laptop": laptop}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,laptop]`."""
  return rows.configure(paper(), ROWS, OPTIONS, arg or "random")


def runs(study: Study) -> None:
  """Pre-training from both starts."""
  study.pretrained(study.noisy())
  study.pretrained(study.noisy(clean=True))


def pages(names: Names) -> list[Page]:
  """The curves of both."""
  return [Page(
      "fig3_initialisation", "Figure 3: mAP@100 over pre-training, from two starts",
      TASKS["pretrain"].headings,
      {names.random: {"task": "pretrain", **arms.NOISY},
       names.clean: {"task": "pretrain", **arms.BOTH}},
      x="step", pairs=((names.clean, names.random),), definitions=arms.LEAVES,
      says="ImageNet's weights are ahead for about 15M of 36M steps; then both are equal.",
      says_mark="seed",
      deviations=(*names.world(), "The steps count pre-training on these pictures alone, not those "
                  "of the clean start before."))]
