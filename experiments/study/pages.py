"""What the report of `paper.py` shows: a page per table and figure, beside the paper's numbers."""

from __future__ import annotations

from collections.abc import Sequence

import ml_collections

from experiments import (
    fig5_capacity,
    fig6_segmentation,
    table1_imagenet,
    table2_coco,
    table3_voc,
    table4_epochs,
    table5_classes,
    table6_pose,
)
from experiments.study.names import Names
from jft_reps.metrics import topk
from jft_reps.studies.report.pages import Page, PaperNumber

_TUNED = {"frozen": "fine-tuned", "times": 1}
_BASE = {"depth": "base", "noise": "standard", "labels": "all", "third": 3}
_CLEAN = {"start": "clean", **_BASE}
_NOISY = {"start": "noisy", "size": "largest", **_BASE}
_BOTH = {"start": "clean+noisy", "size": "largest", **_BASE}
_RANDOM = {"start": "random", **_BASE}

_AP = {"coco/AP50": "AP50", "coco/AP": "AP"}
_VOC = {"voc/mAP": "mAP"}
_MAP = {"fasteval/mAP@100": "mAP@100", "fasteval/leaves": "leaves"}
_TOP = {"classification/top1": "top-1", "classification/top5": "top-5"}
_MIOU = {"segmentation/mIOU": "mIOU"}
_POSE = {"keypoints/AP": "AP", "keypoints/AP50": "AP50"}
_LEAVES = {"leaves": "leaves: plain mean of the same AP over the classes that have none below them "
                     "in the hierarchy."}
_CROP = dict.fromkeys(_TOP.values(), f"{topk.definition((1, 5))}; single centre crop.")
_SERVER = "The paper's numbers are of COCO's test-dev."
_BEST = "300M is better than ImageNet, and both together are best."


def pages(config: ml_collections.ConfigDict) -> Sequence[Page]:
  """The pages of a configuration of `paper.py`."""
  n = Names(config)
  return [
      _initialisation(n), _classification(n, config.laptop), _detection(n),
      *([_voc(n)] if "voc" in config.tasks else []), _moments(n),
      *_data_size(n, "voc" in config.tasks), *_capacity(n, config.depths), _classes(n),
      *_segmentation(n), _pose(n), *_noise(n, config.noise)]


def _paper(expected: Sequence[tuple], headings: dict[str, str],
           rows: dict[str, str]) -> tuple[PaperNumber, ...]:
  """Numbers of a configuration's EXPECTED that a page shows, at the names its rows have there."""
  return tuple(PaperNumber(rows[row], heading, value, source, mark)
               for row, metric, value, _, source, mark in expected
               if row in rows and (heading := headings.get(metric.rpartition(": ")[2])))


def _starts(n: Names, task: str) -> dict[str, dict]:
  of = {"task": task, **_TUNED}
  return {n.clean: {**of, **_CLEAN}, n.noisy: {**of, **_NOISY}, n.both: {**of, **_BOTH},
          n.random: {**of, **_RANDOM}, n.longer: {**of, **_RANDOM, "times": 3}}


def _pairs(n: Names) -> tuple[tuple[str, str], ...]:
  return ((n.noisy, n.random), (n.noisy, n.longer), (n.clean, n.random), (n.noisy, n.clean),
          (n.both, n.clean), (n.both, n.noisy))


def _sizes(task: str, frozen: bool = False) -> dict:
  return {"task": task, "start": "noisy", **_BASE,
          **({} if task == "pretrain" else {"frozen": "frozen" if frozen else "fine-tuned"})}


def _initialisation(n: Names) -> Page:
  return Page(
      "fig3_initialisation", "Figure 3: mAP@100 over pre-training, from two starts", _MAP,
      {n.random: {"task": "pretrain", **_NOISY}, n.clean: {"task": "pretrain", **_BOTH}},
      x="step", pairs=((n.clean, n.random),), definitions=_LEAVES,
      says="ImageNet's weights are ahead for about 15M of 36M steps; then both are equal.",
      says_mark="seed",
      deviations=(*n.world(), "The steps count pre-training on these pictures alone, not those of "
                  "the clean start before."))


def _classification(n: Names, clean_tuned: bool) -> Page:
  """`clean_tuned`: whether the clean start is fine-tuned; at full size it is ImageNet's own."""
  of = {"task": "classify"}
  starts = {n.noisy: _NOISY, n.clean: _CLEAN, n.random: _RANDOM}
  tuned = {name: {**of, **_TUNED, **start} for name, start in starts.items()
           if clean_tuned or name != n.clean}
  pairs = ((n.noisy, n.random), (n.noisy, n.longer), (n.clean, n.random), (n.noisy, n.clean))
  probed = {f"{name}, linear probe": {**of, "frozen": "frozen", **start}
            for name, start in starts.items()}
  return Page(
      "table1_imagenet", "Table 1: classification", _TOP,
      {**tuned, n.longer: {**of, **_TUNED, **_RANDOM, "times": 3}, **probed},
      pairs=(*(pair for pair in pairs if clean_tuned or n.clean not in pair),
             (f"{n.noisy}, linear probe", f"{n.clean}, linear probe")),
      paper=_paper(table1_imagenet.EXPECTED, _TOP, n.rows), definitions=_CROP,
      says="Fine-tuned from 300M is 1.7 points better than from random weights.",
      says_mark="found", deviations=(*n.world(), *n.task("classify")))


def _detection(n: Names) -> Page:
  return Page(
      "table2_coco", "Table 2: detection from different starts", _AP, _starts(n, "detect"),
      pairs=_pairs(n), gained=(n.random, n.noisy),
      paper=_paper(table2_coco.EXPECTED, _AP, n.rows), says=_BEST, says_mark="memory",
      deviations=(*n.world(), *n.task("detect"), n.budgets(), _SERVER))


def _voc(n: Names) -> Page:
  starts = {name: {"task": "voc", **_TUNED, **start}
            for name, start in ((n.clean, _CLEAN), (n.noisy, _NOISY), (n.both, _BOTH))}
  return Page(
      "table3_voc", "Table 3: detection of PASCAL VOC from different starts", _VOC, starts,
      pairs=((n.noisy, n.clean), (n.both, n.clean), (n.both, n.noisy)),
      paper=_paper(table3_voc.EXPECTED, _VOC, n.rows),
      says="300M is better than ImageNet, and both together are no better.", says_mark="memory",
      deviations=(*n.world(), *n.task("voc"), n.budgets()))


def _moments(n: Names) -> Page:
  first, second, last = map(n.moment, (1, 2, 3))
  return Page(
      "table4_epochs", "Table 4: detection from three moments of one pre-training", _AP,
      {n.moment(third): {"task": "detect", **_TUNED, **_NOISY, "third": third}
       for third in (1, 2, 3)}, pairs=((last, first), (last, second)),
      paper=_paper(table4_epochs.EXPECTED, _AP, {"12M": first, "24M": second, "36M": last}),
      says="Longer pre-training is better.", says_mark="memory",
      deviations=(*n.world(), *n.task("detect"), *n.length()))


def _data_size(n: Names, voc: bool) -> list[Page]:
  curves = [Page(
      "fig4_fasteval", "mAP@100 against pictures", _MAP, {"random start": _sizes("pretrain")},
      x="pictures", protocol=n.protocol(), definitions=_LEAVES, deviations=n.world(),
      says="Not a figure of the paper, which measures its pre-training by detection."),
      _detection_curve(n, "fig4_data_size", "Figure 4: detection", "detect", _AP, (
          PaperNumber("fine-tuned, 30M pictures", "AP", 0.319, "table 5", "memory"),
          PaperNumber("fine-tuned, 300M pictures", "AP", 0.368, "table 4", "memory")))]
  if voc:
    curves.append(_detection_curve(n, "fig4_voc", "Figure 4, right: PASCAL VOC", "voc", _VOC, (
        PaperNumber("fine-tuned, 300M pictures", "mAP", 0.814, "table 3", "memory"),)))
  return curves


def _detection_curve(n: Names, name: str, what: str, task: str, metrics: dict[str, str],
                     paper: tuple[PaperNumber, ...]) -> Page:
  return Page(
      name, f"{what} against pictures, fine-tuned and frozen", metrics,
      {"fine-tuned": _sizes(task), "frozen": _sizes(task, True)}, x="pictures",
      pairs=(("fine-tuned", "frozen"),), protocol=n.protocol(), paper=paper, says_mark="seed",
      says="Performance grows about linearly in the logarithm of the pictures.",
      deviations=(*n.world(), *n.task(task), *n.sizes(), "Remembered of the paper, not verified: "
                  "no plateau at 300M, and fine-tuning is better than frozen features at every "
                  "size."))


def _capacity(n: Names, depths: Sequence[str]) -> list[Page]:
  known = [name for name in ("shallow", "base", "deep") if name in depths]
  named = {name: n.depth(name) for name in known}
  arm = lambda start, name: f"{start}, {named[name]}"
  both = lambda name: (arm(n.noisy, name), arm(n.clean, name))
  smaller = [name for name in known if name != "deep"] if "deep" in known else []
  deeper = [(arm(start, "deep"), arm(start, name)) for name in smaller
            for start in (n.noisy, n.clean)]
  return [
      Page("fig5_capacity", "Figure 5: detection with a deeper network", _AP,
           {arm(start, name): {**tags, "depth": name, "task": "detect", **_TUNED}
            for name in known for start, tags in ((n.clean, _CLEAN), (n.noisy, _NOISY))},
           pairs=(*map(both, known), *deeper),
           interactions=tuple((both("deep"), both(name)) for name in smaller),
           paper=tuple(PaperNumber(f"gain of 300M over ImageNet, ResNet-{depth}", "AP",
                                   points / 100, source, mark)
                       for depth, points, source, mark in fig5_capacity.GAINS),
           says="300M gains more over ImageNet with ResNet-152 than with ResNet-50.",
           says_mark="found",
           deviations=(*n.world(), *n.task("detect"), *n.deeper(), "The given translation of the "
                       "paper has the two gains the other way round; here they stand as its "
                       "sentence and public summaries have them.")),
      Page("fig5_fasteval", "mAP@100 with a deeper network", _MAP,
           {named[name]: {"task": "pretrain", **_NOISY, "depth": name} for name in known},
           pairs=tuple((named["deep"], named[name]) for name in smaller), definitions=_LEAVES,
           says="Not a figure of the paper.", deviations=(*n.world(), *n.deeper()))]


def _classes(n: Names) -> Page:
  arms = n.labels()
  fewer, *above, whole = arms.values()
  of = {"task": "detect", "start": "noisy", "size": "fewer", **_BASE, **_TUNED}
  return Page(
      "table5_classes", "Table 5: detection from fewer labels, as many pictures", _AP,
      {arm: {**of, "labels": labels} for labels, arm in arms.items()},
      pairs=((whole, fewer), *((a, b) for arm in above for a, b in ((arm, fewer), (whole, arm)))),
      paper=_paper(table5_classes.EXPECTED, _AP, {"1K": fewer, "18K": whole}),
      says="On par: pictures help more than labels.", says_mark="memory",
      deviations=(*n.world(), *n.task("detect"), n.fewer()))


def _segmentation(n: Names) -> list[Page]:
  return [
      Page("fig6_segmentation", "Figure 6, left: segmentation from different starts", _MIOU,
           _starts(n, "segment"), pairs=_pairs(n), says=_BEST, says_mark="memory",
           paper=_paper(fig6_segmentation.EXPECTED, _MIOU, n.rows),
           deviations=(*n.world(), *n.task("segment"), n.budgets())),
      Page("fig6_data_size", "Figure 6, right: segmentation against pictures", _MIOU,
           {"fine-tuned": _sizes("segment")}, x="pictures", protocol=n.protocol(),
           says="mIOU grows about linearly in the logarithm of the pictures.", says_mark="memory",
           deviations=(*n.world(), *n.task("segment"), *n.sizes()))]


def _pose(n: Names) -> Page:
  longer = {n.noisy_longer: {"task": "pose", **_TUNED, **_NOISY, "times": 3}}
  return Page(
      "table6_pose", "Table 6: keypoints from different starts", _POSE,
      {**_starts(n, "pose"), **longer}, pairs=(*_pairs(n), (n.noisy_longer, n.longer)),
      paper=_paper(table6_pose.EXPECTED, _POSE, n.rows), says="300M is better than ImageNet.",
      says_mark="memory", deviations=(
          *n.world(), *n.task("pose"), n.budgets(), _SERVER,
          "People are looked for in their true boxes, not in those of a detector."))


def _noise(n: Names, noise: dict[str, float]) -> list[Page]:
  levels = {n.noise(level): level for level in sorted(noise, key=noise.get)}
  if len(levels) < 2:
    return []
  more = dict(pairs=tuple(zip(levels, [*levels][1:])),
              says="The paper has no such figure: about 20 % of JFT's labels are wrong.")
  return [
      Page("noise_fasteval", "mAP@100 after wrong labels", _MAP,
           {name: {"task": "pretrain", **_NOISY, "noise": level} for name, level in levels.items()},
           deviations=n.world(noise=False), definitions=_LEAVES, **more),
      Page("noise", "Detection after wrong labels", _AP,
           {name: {"task": "detect", **_TUNED, **_NOISY, "noise": level}
            for name, level in levels.items()},
           deviations=(*n.world(noise=False), *n.task("detect")), **more)]
