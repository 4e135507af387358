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

from experiments.study import checks, names
from experiments.study import pages as paper_pages
from experiments.study.runs import Start, Study
from jft_reps.studies.cluster.tasks import Topology
from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.report.pages import Page

__all__ = ["get_config", "on_cluster", "pages", "plan", "topology", "whole"]

SIZES = ("laptop", "miniature", "full")


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
  task = lambda config, name, number, steps, rate: {
      "config": f"experiments/{config}.py", "records": "", "train": f"{name}_train",
      "dev": f"{name}_dev", "test": f"{name}_test", "number": number, "steps": steps,
      "rates": (rate,)}
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
      "tasks": {
          "classify": task("table1_imagenet", "single", "classification/top1", 300, 0.2),
          "detect": task("table2_coco", "boxes", "coco/AP50", 400, 0.02),
          "segment": task("fig6_segmentation", "masks", "segmentation/mIOU", 200, 0.03),
          "pose": task("table6_pose", "figures", "keypoints/AP", 200, 0.016),
      },
  })


def _miniature(config: ml_collections.ConfigDict) -> None:
  config.update({"seeds": 5, "steps": 4000})
  for name, steps, rates in (
      ("classify", 400, (0.06, 0.2, 0.6)), ("detect", 600, (0.008, 0.02, 0.05)),
      ("segment", 300, (0.01, 0.03, 0.1)), ("pose", 300, (0.005, 0.016, 0.05))):
    config.tasks[name].update({"steps": steps, "rates": rates})


def _full() -> ml_collections.ConfigDict:
  config = _laptop()
  config.update({
      "laptop": False, "data": "/data/jft", "hierarchy": "/data/jft/hierarchy.csv",
      "evaluation": "fasteval", "protocol": "epochs", "steps": 0, "clean_pictures": 1_281_167,
      "pictures": (10_000_000, 30_000_000, 100_000_000, 300_000_000),
      "fewer_labels_pictures": 30_000_000,
      "depths": {"base": 101, "shallow": 50, "deep": 152}})
  config.noise = ml_collections.ConfigDict({"standard": 0.0})  # JFT has its own
  for name, train, dev, test in (
      ("classify", "train", "train_dev", "validation"), ("detect", "train", "dev", "minival"),
      ("segment", "train_aug", "dev", "val"), ("pose", "train", "dev", "val")):
    config.tasks[name].update({"records": f"/data/{name}", "train": train, "dev": dev,
                               "test": test, "steps": 0, "rates": ()})
  config.tasks.pose.steps = 6_400_000  # pushes of 3 crops in place of 800,000 steps of 24
  config.tasks.voc = ml_collections.ConfigDict({
      **config.tasks.detect.to_dict(), "config": "experiments/table3_voc.py",
      "records": "/data/voc", "train": "trainval", "test": "test", "number": "voc/mAP"})
  return config


_RANDOM, _CLEAN = Start(), Start(clean=True)


def _four_starts(study: Study, task: str) -> None:
  """What tables 2, 3 and 6 compare, and random weights, also with three times as many steps."""
  for start in (_CLEAN, study.noisy(), study.noisy(clean=True), _RANDOM):
    study.transfer(task, start)
  study.transfer(task, _RANDOM, times=3)


def _initialisation(study: Study) -> None:
  study.pretrained(study.noisy())
  study.pretrained(study.noisy(clean=True))


def _classification(study: Study) -> None:
  for start in (_CLEAN, study.noisy(), _RANDOM):
    if study.config.laptop or not start.clean:  # ImageNet's own weights are trained for ImageNet
      study.transfer("classify", start)
    study.probe(start)
  study.transfer("classify", _RANDOM, times=3)


def _segmentation(study: Study) -> None:
  _four_starts(study, "segment")
  for pictures in study.config.pictures:
    study.transfer("segment", study.noisy(pictures=pictures))


def _epochs(study: Study) -> None:
  for third in (1, 2, 3):
    study.transfer("detect", study.noisy(third=third))


def _voc(study: Study) -> None:
  for start in (_CLEAN, study.noisy(), study.noisy(clean=True)):
    study.transfer("voc", start)


def _data_size(study: Study) -> None:
  for pictures in study.config.pictures:
    for task in ("detect", "voc"):
      for frozen in (False, True):
        if task in study.config.tasks:
          study.transfer(task, study.noisy(pictures=pictures), frozen)


def _capacity(study: Study) -> None:
  for depth in study.config.depths:
    study.transfer("detect", study.noisy(depth=depth))
    study.transfer("detect", Start(clean=True, depth=depth))


def _classes(study: Study) -> None:
  c = study.config
  for labels in ("all", "fewer", *(["above"] if names.has_labels_above(c) else [])):
    study.transfer("detect", study.noisy(pictures=c.fewer_labels_pictures, labels=labels))


def _pose(study: Study) -> None:
  """AP50 is at its end from every start, so what is left to learn is how long one trains."""
  _four_starts(study, "pose")
  study.transfer("pose", study.noisy(), times=3)


def _noise(study: Study) -> None:
  for noise in study.config.noise:
    study.transfer("detect", study.noisy(noise=noise))


PARTS = {
    "fig3_initialisation": _initialisation,
    "table1_imagenet": _classification,
    "table2_coco": lambda study: _four_starts(study, "detect"),
    "table3_voc": _voc,
    "table4_epochs": _epochs,
    "fig4_data_size": _data_size,
    "fig5_capacity": _capacity,
    "table5_classes": _classes,
    "fig6_segmentation": _segmentation,
    "table6_pose": _pose,
    "noise": _noise,
}
_FULL_ONLY = ("table3_voc",)


def on_cluster(config: ml_collections.ConfigDict) -> bool:
  """Whether its runs are jobs for a cluster, not for this machine."""
  return not config.laptop


def topology(run: Run) -> Topology:
  """The paper's cluster for a run.

  Those of segmentation and of pose under parameter servers are not stated, and ours.
  """
  workers, servers = {"detect": (9, 11), "voc": (9, 11), "segment": (1, 1),
                      "pose": (8, 1)}.get(
      run.tags["task"], (50, 17))
  return Topology(workers, servers, cpus=8, memory_gb=32, gpu=True)


def whole(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """The same configuration with all parts of its size."""
  config = config.copy_and_resolve_references()
  config.parts = tuple(p for p in PARTS if p not in _FULL_ONLY or not config.laptop)
  return config


def pages(config: ml_collections.ConfigDict) -> Sequence[Page]:
  """What a report shows of a configuration, whatever folders are on this machine."""
  return paper_pages.pages(checks.settled(config))


def plan(config: ml_collections.ConfigDict) -> Plan:
  """The runs of a configuration, all parts of one seed after the other."""
  config, grown = checks.settled(config), Plan()
  checks.check_files(config)
  for seed in range(config.seeds):
    study = Study(config, grown, seed)
    for part in config.parts:
      PARTS[part](study)
  return grown
