"""What the report of `paper.py` shows: a page per table and figure, beside the paper's numbers."""

from __future__ import annotations

from collections.abc import Sequence

from experiments import (
    fig5_capacity,
    fig6_segmentation,
    table1_imagenet,
    table2_coco,
    table4_epochs,
    table5_classes,
)
from jft_reps.studies.pages import Page, PaperNumber

_TUNED = {"frozen": "fine-tuned", "times": 1}
_BASE = {"depth": "base", "noise": "standard", "labels": "all", "third": 3}
_CLEAN = {"start": "clean", **_BASE}
_NOISY = {"start": "noisy", "size": "largest", **_BASE}
_BOTH = {"start": "clean+noisy", "size": "largest", **_BASE}
_RANDOM = {"start": "random", **_BASE}

# What the starts are called: the paper's name, and what stands for it in miniature.
CLEAN, NOISY, BOTH = "ImageNet", "300M", "ImageNet+300M"
RANDOM, LONGER = "random", "random, 3× steps"
_PAIRS = ((NOISY, RANDOM), (NOISY, LONGER), (NOISY, CLEAN), (BOTH, CLEAN), (BOTH, NOISY))

_AP = {"coco/AP50": "AP50", "coco/AP": "AP"}
_MAP = {"fasteval/mAP@100": "mAP@100", "fasteval/leaves": "leaves"}
_WORLD = ("In miniature: 10,000 generated pictures with noisy labels stand for JFT-300M, 2,500 "
          "clean ones with one label for ImageNet, 14 layers an eighth as wide for ResNet-101.")
_SPLIT = ("Each start has the best of three rates, by a development split of the first seed; tasks "
          "show shapes and textures never seen before.")


def _paper(expected: Sequence[tuple], headings: dict[str, str],
           rows: dict[str, str] | None = None) -> tuple[PaperNumber, ...]:
  """Numbers of a configuration's EXPECTED whose rows and metrics a page shows."""
  found = []
  for row, metric, value, _, source, mark in expected:
    heading = headings.get(metric.rpartition(": ")[2])
    if heading and (rows is None or row in rows):
      found.append(PaperNumber(row if rows is None else rows[row], heading, value, source, mark))
  return tuple(found)


def _starts(task: str, **more) -> dict[str, dict]:
  of = {"task": task, **_TUNED, **more}
  return {CLEAN: {**of, **_CLEAN}, NOISY: {**of, **_NOISY}, BOTH: {**of, **_BOTH},
          RANDOM: {**of, **_RANDOM}, LONGER: {**of, **_RANDOM, "times": 3}}


def _sizes(task: str, frozen: bool = False) -> dict:
  return {"task": task, "start": "noisy", **_BASE,
          **({} if task == "pretrain" else {"frozen": "frozen" if frozen else "fine-tuned"})}


_STEPS = "the same number of steps at every size"

PAGES = (
    Page("fig3_initialisation", "Figure 3: mAP@100 over pre-training, from two starts", _MAP,
         {"random": {"task": "pretrain", **_NOISY}, "ImageNet": {"task": "pretrain", **_BOTH}},
         x="step", pairs=(("ImageNet", "random"),),
         says="ImageNet's weights are ahead for about 15M of 36M steps; then both are equal.",
         deviations=(_WORLD, "The clean start's own steps are not counted.")),
    Page("table1_imagenet", "Table 1: classification",
         {"classification/top1": "top-1", "classification/top5": "top-5"},
         {NOISY: {"task": "classify", **_TUNED, **_NOISY},
          CLEAN: {"task": "classify", **_TUNED, **_CLEAN},
          RANDOM: {"task": "classify", **_TUNED, **_RANDOM},
          LONGER: {"task": "classify", **_TUNED, **_RANDOM, "times": 3},
          "300M, linear probe": {"task": "classify", "frozen": "frozen", **_NOISY},
          "ImageNet, linear probe": {"task": "classify", "frozen": "frozen", **_CLEAN},
          "random, linear probe": {"task": "classify", "frozen": "frozen", **_RANDOM}},
         pairs=((NOISY, RANDOM), (NOISY, LONGER), (NOISY, CLEAN),
                ("300M, linear probe", "ImageNet, linear probe")),
         paper=_paper(table1_imagenet.EXPECTED, {"classification/top1": "top-1",
                                                 "classification/top5": "top-5"}),
         says="Fine-tuned from 300M is 1.7 points better than from random weights.",
         deviations=(_WORLD, _SPLIT)),
    Page("table2_coco", "Table 2: detection from different starts", _AP, _starts("detect"),
         pairs=_PAIRS, gained=(RANDOM, NOISY), paper=_paper(table2_coco.EXPECTED, _AP),
         says="300M is better than ImageNet, and both together are best.",
         deviations=(_WORLD, _SPLIT)),
    Page("table4_epochs", "Table 4: detection from three moments of one pre-training", _AP,
         {moment: {"task": "detect", **_TUNED, **_NOISY, "third": third}
          for third, moment in ((1, "12M"), (2, "24M"), (3, "36M"))},
         pairs=(("36M", "12M"), ("36M", "24M")), paper=_paper(table4_epochs.EXPECTED, _AP),
         says="Longer pre-training is better.",
         deviations=(_WORLD, "12M, 24M and 36M are a third, two thirds and all of its steps.")),
    Page("fig4_fasteval", "mAP@100 against pictures", _MAP,
         {"random start": _sizes("pretrain")}, x="pictures", protocol=_STEPS,
         says="Not a figure of the paper, which measures its pre-training by detection.",
         deviations=(_WORLD,)),
    Page("fig4_data_size", "Figure 4: detection against pictures, fine-tuned and frozen", _AP,
         {"fine-tuned": _sizes("detect"), "frozen": _sizes("detect", True)}, x="pictures",
         pairs=(("fine-tuned", "frozen"),), protocol=_STEPS,
         says="AP grows about linearly in the logarithm of the pictures, without a plateau, and "
              "fine-tuning is better than frozen features at every size.",
         paper=(PaperNumber("fine-tuned, 30M pictures", "AP", 0.319, "table 5", "memory"),
                PaperNumber("fine-tuned, 300M pictures", "AP", 0.368, "table 4", "memory")),
         deviations=(_WORLD, "The paper takes four epochs of each size.")),
    Page("fig5_capacity", "Figure 5: detection with a deeper network", {**_AP, **_MAP},
         {f"{start}, {depth}": {**(_CLEAN if start == CLEAN else _NOISY), "depth": depth,
                                "task": "detect", **_TUNED}
          for depth in ("shallow", "base", "deep") for start in (CLEAN, NOISY)},
         pairs=(("300M, deep", "300M, base"), ("ImageNet, deep", "ImageNet, base"),
                ("300M, base", "ImageNet, base"), ("300M, deep", "ImageNet, deep")),
         paper=tuple(PaperNumber(f"gain of 300M over ImageNet, ResNet-{depth}", "AP", points / 100,
                                 source, mark)
                     for depth, points, source, mark in fig5_capacity.GAINS),
         says="300M gains more over ImageNet with ResNet-152 than with ResNet-50.",
         deviations=(_WORLD, "Deep is 26 layers.")),
    Page("fig5_fasteval", "mAP@100 with a deeper network", _MAP,
         {depth: {"task": "pretrain", **_NOISY, "depth": depth}
          for depth in ("shallow", "base", "deep")}, pairs=(("deep", "base"),),
         says="Not a figure of the paper.", deviations=(_WORLD,)),
    Page("table5_classes", "Table 5: detection from fewer labels, as many pictures", _AP,
         {row: {"task": "detect", "start": "noisy", "size": "fewer", **_BASE, **_TUNED,
                "labels": labels}
          for row, labels in (("1K", "fewer"), ("18K", "all"))},
         pairs=(("18K", "1K"),), paper=_paper(table5_classes.EXPECTED, _AP),
         says="On par: pictures help more than labels.",
         deviations=(_WORLD, "1K is every third leaf of the hierarchy, 18K all classes, both on "
                             "3,200 pictures.")),
    Page("fig6_segmentation", "Figure 6, left: segmentation from different starts",
         {"segmentation/mIOU": "mIOU"}, _starts("segment"), pairs=_PAIRS,
         paper=_paper(fig6_segmentation.EXPECTED, {"segmentation/mIOU": "mIOU"}),
         says="300M is better than ImageNet, and both together are best.",
         deviations=(_WORLD, _SPLIT)),
    Page("fig6_data_size", "Figure 6, right: segmentation against pictures",
         {"segmentation/mIOU": "mIOU"}, {"fine-tuned": _sizes("segment")}, x="pictures",
         protocol=_STEPS, says="mIOU grows about linearly in the logarithm of the pictures.",
         deviations=(_WORLD, "The paper takes four epochs of each size.")),
    Page("table6_pose", "Table 6: keypoints from different starts",
         {"keypoints/AP": "AP", "keypoints/AP50": "AP50"}, _starts("pose"), pairs=_PAIRS,
         says="300M is better than ImageNet.",
         deviations=(_WORLD, _SPLIT, "People are looked for in their true boxes.")),
    Page("noise_fasteval", "mAP@100 after wrong labels", _MAP,
         {f"{name}": {"task": "pretrain", **_NOISY, "noise": key}
          for key, name in (("none", "none wrong"), ("standard", "20 % wrong"),
                            ("more", "50 % wrong"))},
         pairs=(("none wrong", "20 % wrong"), ("20 % wrong", "50 % wrong")),
         says="The paper has no such figure: about 20 % of JFT's labels are wrong.",
         deviations=(_WORLD,)),
    Page("noise", "Detection after wrong labels", _AP,
         {f"{name}": {"task": "detect", **_TUNED, **_NOISY, "noise": key}
          for key, name in (("none", "none wrong"), ("standard", "20 % wrong"),
                            ("more", "50 % wrong"))},
         pairs=(("none wrong", "20 % wrong"), ("20 % wrong", "50 % wrong")),
         says="The paper has no such figure: about 20 % of JFT's labels are wrong.",
         deviations=(_WORLD,)),
)
