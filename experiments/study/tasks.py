"""The tasks of the paper as its studies know them: a new task is one entry of `TASKS`.

What is said here of a task is what its configuration does not say: how long the miniature trains it
and at which rates, what chooses a rate, on which cluster the paper trained it, how much work one of
its pictures is, and what a report shows of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jft_reps.errors import ConfigError, printable
from jft_reps.studies.cluster import machine_hours
from jft_reps.studies.cluster.machine_hours import Work


@dataclasses.dataclass(frozen=True)
class Budget:
  """How long a task is trained, and the learning rates among which the best is chosen."""

  steps: int
  rates: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Task:
  """A task of the paper.

  Attributes:
    config: file of its configuration.
    headings: numbers of its runs that pages show → what stands above them.
    work: one picture in training, given the configuration's `task` and how many classes there are.
    classes: of the paper's set; keypoints in pose.
    cluster: workers and parameter servers.
    step: seconds of a step on two cores, by the laptop's network.
    generated: its splits of the generated world are called this and `_train`, `_dev` and `_test`;
      "": the world has no pictures of it, so it is at full size alone.
    laptop, miniature: how it is trained there.
    number: the rate is chosen by it.
    numbers: by which it may be chosen.
    splits: to train on, to choose a rate by and to test on, at full size.
    pushes: at full size; 0: as many as its configuration has steps.
  """

  config: str
  headings: Mapping[str, str]
  work: Callable[[Mapping[str, Any], int], Work]
  classes: int
  cluster: tuple[int, int] = (50, 17)
  step: float = 0.032
  generated: str = ""
  laptop: Budget = Budget(0, ())
  miniature: Budget = Budget(0, ())
  number: str = ""
  numbers: tuple[str, ...] = ()
  splits: tuple[str, str, str] = ("", "", "")
  pushes: int = 0


def _classification(task: Mapping[str, Any], classes: int) -> Work:
  return machine_hours.classification(
      task["backbone"]["depth"], task["crop"], task["crop"], classes, task.get("frozen_through"))


def _detection(task: Mapping[str, Any], classes: int) -> Work:
  """Of the largest size that a picture may have."""
  anchors = len(task["anchors"]["scales"]) * len(task["anchors"]["aspects"])
  network = task["backbone"]
  return machine_hours.detection(
      network["depth"], task["min_side"], task["max_side"], classes, task["sampling"]["boxes"],
      anchors, network["output_stride"], task.get("frozen_through"))


def _segmentation(task: Mapping[str, Any], classes: int) -> Work:
  side, network = task.get("crop") or task["resize"], task["backbone"]
  return machine_hours.segmentation(network["depth"], side, side, classes, len(task["rates"]),
                                    network["output_stride"], task.get("frozen_through"))


def _pose(task: Mapping[str, Any], points: int) -> Work:
  network = task["backbone"]
  return machine_hours.pose(network["depth"], *task["crop"], points, network["output_stride"],
                            task.get("frozen_through"))


TASKS = {
    "pretrain": Task(
        config="experiments/fig3_pretraining.py",
        headings={"fasteval/mAP@100": "mAP@100", "fasteval/leaves": "leaves"},
        work=_classification, classes=18_291, step=0.052),
    "classify": Task(
        config="experiments/table1_imagenet.py",
        headings={"classification/top1": "top-1", "classification/top5": "top-5"},
        work=_classification, classes=1000, step=0.055, generated="single",
        laptop=Budget(300, (0.2,)), miniature=Budget(400, (0.06, 0.2, 0.6)),
        number="classification/top1",
        numbers=("classification/top1", "classification/top5", "classification/mAP"),
        splits=("train", "train_dev", "validation")),
    "detect": Task(
        config="experiments/table2_coco.py",
        headings={"coco/AP50": "AP50", "coco/AP": "AP"},
        work=_detection, classes=80, cluster=(9, 11), generated="boxes",
        laptop=Budget(400, (0.02,)), miniature=Budget(600, (0.008, 0.02, 0.05)),
        number="coco/AP50",
        numbers=("coco/AP", "coco/AP50", "coco/AP75", "coco/APs", "coco/APm", "coco/APl"),
        splits=("train", "dev", "minival")),
    "segment": Task(
        config="experiments/fig6_segmentation.py",
        headings={"segmentation/mIOU": "mIOU"},
        work=_segmentation, classes=21,
        cluster=(1, 1),  # ours: the paper does not say; a batch of 6 is one machine's
        step=0.035, generated="masks",
        laptop=Budget(200, (0.03,)), miniature=Budget(300, (0.01, 0.03, 0.1)),
        number="segmentation/mIOU", numbers=("segmentation/mIOU",),
        splits=("train_aug", "dev", "val")),
    "pose": Task(
        config="experiments/table6_pose.py",
        headings={"keypoints/AP": "AP", "keypoints/AP50": "AP50"},
        work=_pose, classes=17,
        cluster=(8, 1),  # ours: the recipe is of 16 GPUs that step together
        step=0.04, generated="figures",
        laptop=Budget(200, (0.016,)), miniature=Budget(300, (0.005, 0.016, 0.05)),
        number="keypoints/AP",
        numbers=("keypoints/AP", "keypoints/AP50", "keypoints/AP75", "keypoints/APM",
                 "keypoints/APL"),
        splits=("train", "dev", "val"),
        pushes=6_400_000),  # of 3 crops, in place of 800,000 steps of 24
    "voc": Task(
        config="experiments/table3_voc.py",
        headings={"voc/mAP": "mAP"},
        work=_detection, classes=20, cluster=(9, 11),
        number="voc/mAP", numbers=("voc/mAP",), splits=("trainval", "dev", "test")),
}


def of_config(task: Mapping[str, Any]) -> Task:
  """The task of the paper that a configuration's `task` trains.

  Raises:
    ConfigError: there is none.
  """
  name = task["name"]
  if name == "detect" and task["metric"] != "coco":
    name = "voc"  # both of its definitions of AP
  if name not in TASKS:
    raise ConfigError("machine-hours", "task", printable(name), "a task of the paper")
  return TASKS[name]


def work(task: Mapping[str, Any], classes: int | None = None) -> Work:
  """One picture of a configuration in training; for detection one of the largest size.

  Args:
    task: of the configuration.
    classes: of the records, keypoints in pose; None: as many as the paper's set has.

  Raises:
    ConfigError: no such task or depth, or a network that was made smaller.
  """
  network = task["backbone"]
  if network.get("width", 1.0) != 1.0 or network.get("stem", "imagenet") != "imagenet":
    raise ConfigError("machine-hours", "backbone", "a narrow one or another stem", "full size")
  known = of_config(task)
  return known.work(task, classes or known.classes)
