"""Table 1: does pre-training help classification? ImageNet, from scratch and from 300M.

Sun et al. 2017 (arXiv:1707.02968), sections 4.1 and 5.1: ResNet-101 from scratch is a point better
than its authors' own (`CITED`), and fine-tuned from 300M another 1.7.

  python -m jft_reps.apps.build_records --source=imagenet --input=ILSVRC --output=RECORDS …
  python -m jft_reps.apps.train --config=experiments/table1_imagenet.py:300M --workdir=RUN \\
      --config.init.checkpoint=PRETRAINING --config.task.records=RECORDS [--local_cluster=…]
  python -m jft_reps.apps.evaluate --config=…the same… --workdir=RUN

`300M` takes 6.6 days on the paper's 50 workers and 17 servers, 7,980 GPU-hours, and
`random` takes 8.3 days on the paper's 50 workers and 17 servers, 9,975 GPU-hours (docs/cluster.md).
With `,laptop` either takes a minute on two cores, on generated pictures of classes that no
pre-training shows; `jft_reps.apps.study --plan=experiments/paper.py:table1_imagenet,laptop` makes
the comparison.

  random  from scratch, 5M pushes of 32 pictures at 5e-2 (section 4.1)
  300M    fine-tuned from the pre-training, 4M pushes at 1e-3
  frozen  not in the paper: a linear probe on frozen features, and few-shot (`jft_reps.apps.probe`)

Deviations: the paper evaluates its authors' ResNet by the same protocol; here that row is cited, as
its classifier is not imported. Batch-norm is trained, the paper does not say.
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

_FOUND = "public text: the table in Tencent ML-Images' README"
EXPECTED = [
    ("random", "classification/top1", 0.775, 0.005, _FOUND, "found"),
    ("random", "classification/top5", 0.939, 0.005, _FOUND, "found"),
    ("300M", "classification/top1", 0.792, 0.005, _FOUND, "found"),
    ("300M", "classification/top5", 0.947, 0.005, _FOUND, "found"),
]
CITED = [  # which nothing here trains
    ("checkpoint of He et al.", "classification/top1", 0.764, f"{_FOUND}, at 224", "found"),
    ("checkpoint of He et al.", "classification/top5", 0.929, f"{_FOUND}, at 224", "found"),
]

ROWS = {
    "random": {"init.checkpoint": ""},
    "300M": {"init.checkpoint": "300M", "schedule.initial": 1e-3, "train.steps": 4_000_000},
    "frozen": {"init.checkpoint": "300M", "task.batch_norm": "frozen",
               "task.frozen_through": "conv5"},
}


def paper() -> ml_collections.ConfigDict:
  """The numbers of section 4.1; what is not named here is as in pre-training."""
  base = fig3_pretraining.paper()
  return ml_collections.ConfigDict({
      "task": {
          "name": "classify",
          "records": "records",
          "train_split": "train",
          "eval_splits": ("validation",),
          "multi_label": False,
          "backbone": base.task.backbone.to_dict(),
          "batch_norm": "train",
          "recalibration_batches": 50,
          "frozen_through": ml_collections.config_dict.placeholder(str),
          "label_smoothing": 0.0,
          "batch_size": 32,
          "resize": 340,
          "crop": 299,
          "shuffle": 2048,
          "eval_batch_size": 64,
      },
      "optimizer": {"name": "momentum", "momentum": 0.9},
      "schedule": {"name": "exponential", "initial": 5e-2, "rate": 0.1, "every": 1_200_000,
                   "staircase": True, "warm_up": 0},
      "train": {**base.train.to_dict(), "steps": 5_000_000, "keep_steps": ()},
      "probe": {"method": "ridge", "grid": (), "shots": (1, 5, 10, 25), "seeds": 3,
                "few_shot_strength": 0.1, "seed": 0},
      "init": {"checkpoint": "", "allow": ()},
      "toy_world": {},
  })


def laptop(config: ml_collections.ConfigDict) -> None:
  """A minute on two cores: pictures of held-out classes, one object each, the quickstart's net."""
  config.task.update({
      "records": "{workdir}/records", "train_split": "single_train",
      "eval_splits": ("single_dev", "single_test"), "resize": 72, "crop": 64,
      "eval_batch_size": 250})
  config.task.backbone.update(fig3_pretraining.LAPTOP_NETWORK)
  config.schedule = {"name": "polynomial", "initial": 0.05, "steps": 600, "power": 1.0,
                     "start": 300, "warm_up": 30}
  config.train.update({"steps": 600, "checkpoint_every": 600, "log_every": 50,
                       "startup_delay": 0})
  config.toy_world = {
      "seed": 0, "size": 72, "processes": 2,
      "splits": {"single_train": (2000, 2), "single_dev": (1000, 1), "single_test": (2000, 1)}}


OPTIONS = {"laptop": laptop}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """`row[,laptop]`."""
  return rows.configure(paper(), ROWS, OPTIONS, arg or "random")


def runs(study: Study) -> None:
  """Fine-tuning from three starts, and a linear probe on each."""
  for start in (study.clean(), study.noisy(), study.random()):
    if _is_tuned(start.clean, study.config):
      study.transfer("classify", start)
    study.probe(start)
  study.transfer("classify", study.random(), times=3)


def pages(names: Names) -> list[Page]:
  """Both, with the paper's numbers beside fine-tuning."""
  from jft_reps.metrics import topk  # which imports NumPy: reading a configuration does not

  of, headings = {"task": "classify"}, TASKS["classify"].headings
  starts = {names.noisy: arms.NOISY, names.clean: arms.CLEAN, names.random: arms.RANDOM}
  tuned = {name: {**of, **arms.TUNED, **start} for name, start in starts.items()
           if _is_tuned(name == names.clean, names.config)}
  longer = {names.longer: {**of, **arms.TUNED, **arms.RANDOM, "times": 3}}
  probed = {f"{name}, linear probe": {**of, "frozen": "frozen", **start}
            for name, start in starts.items()}
  pairs = ((names.noisy, names.random), (names.noisy, names.longer), (names.clean, names.random),
           (names.noisy, names.clean))
  crop = f"{topk.definition((1, 5))}; single centre crop."
  return [Page(
      "table1_imagenet", "Table 1: classification", headings, {**tuned, **longer, **probed},
      pairs=(*(pair for pair in pairs if {*pair} <= {*tuned, *longer}),
             (f"{names.noisy}, linear probe", f"{names.clean}, linear probe")),
      paper=(*arms.of_paper(EXPECTED, headings, names.rows), *arms.cited(CITED, headings)),
      definitions=dict.fromkeys(headings.values(), crop),
      says="Fine-tuned from 300M is 1.7 points better than from random weights.",
      says_mark="found", deviations=(*names.world(), *names.task("classify")))]


def _is_tuned(clean: bool, config: ml_collections.ConfigDict) -> bool:
  """Whether a start is fine-tuned: at full size the clean one is ImageNet's own classifier."""
  return config.laptop or not clean
