"""The whole paper as one plan of runs: every table and figure that its system draws.

  python -m jft_reps.apps.study --plan=experiments/paper.py:laptop --workdir=DIR
  python -m jft_reps.apps.study --plan=experiments/paper.py:fig4_data_size,miniature --workdir=DIR
  python -m jft_reps.apps.report --study=DIR

`part[,part…],size`; without a part it is all of them:

  fig3_initialisation  pre-training from random weights and from clean pictures, over the steps
  table1_imagenet      classification             table2_coco        detection
  table3_voc           detection of VOC, at full size alone
  fig6_segmentation    segmentation               table6_pose        keypoints
  table4_epochs        from three moments of one pre-training
  fig4_data_size       detection and mAP@100 against pictures, fine-tuned and frozen
  fig5_capacity        a deeper network           table5_classes     fewer labels
  noise                wrong labels: none, as many as in the paper, more

  laptop     one seed, one rate, every arrow once: under 30 minutes on two cores
  miniature  five seeds; the best of three rates or more by a development split of the first: hours
  full       the paper's cluster and data; prints what it takes and writes its jobs. Schedules of
             transfers are remembered of the paper, not verified: see each configuration

What stands for what: 10,000 generated pictures with noisy labels for JFT-300M (20 % wrong on top of
missing and coarse ones), 2,500 clean pictures with one label for ImageNet, an eighth of the width
and 14 layers for ResNet-101, 26 for ResNet-152; tasks show shapes and textures that neither
pre-training showed.

Own pictures: --config.data=RECORDS --config.hierarchy=FILE --config.hierarchy_format=edges
--config.evaluation=SPLIT --config.pictures=1000,3000,10000, drawn from --config.train_split. Their
labels stay as they are, unless --config.noise.standard=0.1. What stands for ImageNet, likewise:
--config.clean.records=RECORDS and its train and dev; an own task:
--config.tasks.detect.records=RECORDS and its train, dev and test.
"""

from __future__ import annotations

from collections.abc import Sequence

import ml_collections
from ml_collections import config_dict

from experiments import (
    fig3_pretraining,
    fig4_data_size,
    fig5_capacity,
    fig6_segmentation,
    noise,
    table1_imagenet,
    table2_coco,
    table3_voc,
    table4_epochs,
    table5_classes,
    table6_pose,
)
from experiments.study import checks
from experiments.study.names import Names
from experiments.study.runs import Study
from experiments.study.tasks import TASKS, Task, work
from jft_reps.studies.cluster.tasks import Topology
from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.report.pages import Page

__all__ = ["get_config", "on_cluster", "pages", "plan", "topology", "whole", "work"]

SIZES = ("laptop", "miniature", "full")
PARTS = {  # each has `runs(study)` and `pages(names)`, and they come in this order
    "fig3_initialisation": fig3_pretraining,
    "table1_imagenet": table1_imagenet,
    "table2_coco": table2_coco,
    "table3_voc": table3_voc,
    "table4_epochs": table4_epochs,
    "fig4_data_size": fig4_data_size,
    "fig5_capacity": fig5_capacity,
    "table5_classes": table5_classes,
    "fig6_segmentation": fig6_segmentation,
    "table6_pose": table6_pose,
    "noise": noise,
}
_FULL_ONLY = ("table3_voc",)


def get_config(arg: str = "laptop") -> ml_collections.ConfigDict:
  """`[part,…]size`."""
  *parts, size = (arg or "laptop").split(",")
  if size not in SIZES or set(parts) - set(PARTS):
    raise ValueError(f"{arg!r}: expected [part,…]{'|'.join(SIZES)} with parts {', '.join(PARTS)}")
  config = _full() if size == "full" else _laptop()
  drawn = [part for part in PARTS if part not in _FULL_ONLY or size == "full"]
  if set(parts) - set(drawn):
    raise ValueError(f"{arg!r}: generated pictures have no VOC, so {', '.join(_FULL_ONLY)} is at "
                     "full size alone; table2_coco is the same in miniature")
  config.parts = tuple(parts or drawn)
  if size == "miniature":
    _miniature(config)
  return config


def _laptop() -> ml_collections.ConfigDict:
  return ml_collections.ConfigDict({
      "parts": (),
      "laptop": True,
      "seeds": 1,
      "data": "",  # records of own pictures in place of the generated ones
      "hierarchy": "",
      "hierarchy_format": "edges",
      "train_split": "train",
      "evaluation": "fasteval",
      "pictures": (320, 1000, 3200, 10_000),
      "fewer_labels_pictures": 0,  # 0: the largest size but one
      "fewer_labels": "",  # file of labels; without one every third that has none below it
      "clean": {"records": "", "train": "clean_train", "dev": "clean_dev"},
      "clean_pictures": 2500,
      "protocol": "steps",  # or epochs: 4 of each subset
      "steps": 1200,
      "epochs": 4,
      # standard: 0.2 of generated pictures' labels, none of own ones'
      "noise": {"none": 0.0, "standard": config_dict.placeholder(float), "more": 0.5},
      "more_rates": 2,  # beyond those of a task, while the lowest or the highest is the best
      "depths": {"base": 14, "deep": 26},
      "tasks": {name: _task(task) for name, task in TASKS.items() if task.generated},
  })


def _task(task: Task) -> dict[str, object]:
  """How a task is trained in miniature, on its generated pictures unless it has `records`."""
  return {"config": task.config, "records": "", "train": f"{task.generated}_train",
          "dev": f"{task.generated}_dev", "test": f"{task.generated}_test",
          "number": task.number, "steps": task.laptop.steps, "rates": task.laptop.rates}


def _miniature(config: ml_collections.ConfigDict) -> None:
  config.update({"seeds": 5, "steps": 4000})
  for name, settings in config.tasks.items():
    budget = TASKS[name].miniature
    settings.update({"steps": budget.steps, "rates": budget.rates})


def _full() -> ml_collections.ConfigDict:
  config = _laptop()
  config.update({
      "laptop": False, "data": "/data/jft", "hierarchy": "/data/jft/hierarchy.csv",
      "evaluation": "fasteval", "protocol": "epochs", "steps": 0, "clean_pictures": 1_281_167,
      "pictures": (10_000_000, 30_000_000, 100_000_000, 300_000_000),
      "fewer_labels_pictures": 30_000_000,
      "depths": {"base": 101, "shallow": 50, "deep": 152}})
  config.noise = ml_collections.ConfigDict({"standard": 0.0})  # JFT has its own
  config.tasks = ml_collections.ConfigDict({
      name: _at_full_size(name, task) for name, task in TASKS.items() if task.number})
  return config


def _at_full_size(name: str, task: Task) -> dict[str, object]:
  """How a task is trained by the paper: no rate is tried beside its configuration's."""
  train, dev, test = task.splits
  return {"config": task.config, "records": f"/data/{name}", "train": train, "dev": dev,
          "test": test, "number": task.number, "steps": task.pushes, "rates": ()}


def on_cluster(config: ml_collections.ConfigDict) -> bool:
  """Whether its runs are jobs for a cluster, not for this machine."""
  return not config.laptop


def topology(run: Run) -> Topology:
  """The paper's cluster for a run."""
  workers, servers = TASKS[run.tags["task"]].cluster
  return Topology(workers, servers, cpus=8, memory_gb=32, gpu=True)


def whole(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """The same configuration with all parts of its size."""
  config = config.copy_and_resolve_references()
  config.parts = tuple(p for p in PARTS if p not in _FULL_ONLY or not config.laptop)
  return config


def pages(config: ml_collections.ConfigDict) -> Sequence[Page]:
  """What a report shows of a configuration, whatever folders are on this machine."""
  names = Names(checks.settled(config))
  return [page for part in PARTS.values() for page in part.pages(names)]


def plan(config: ml_collections.ConfigDict) -> Plan:
  """The runs of a configuration, all parts of one seed after the other."""
  config, grown = checks.settled(config), Plan()
  checks.check_files(config)
  for seed in range(config.seeds):
    study = Study(config, grown, seed)
    for part in config.parts:
      PARTS[part].runs(study)
  return grown
