"""The rows of `own.py`: what they leave open, and how the records fill it."""

from __future__ import annotations

import os
from typing import Any

import ml_collections
from ml_collections.config_dict import placeholder

from experiments import fig6_segmentation, rows, table1_imagenet, table2_coco, table6_pose
from jft_reps.data.records import contents

# Depth and width of the network, and the sides that pictures are brought to at most: of a crop for
# labels, of a whole picture for boxes and masks (8k + 1, whose corners stay corners at stride 8),
# height and width of a person's crop. Those of resnet101 are the paper's.
SIZES = {
    "tiny": {"depth": 14, "width": 0.125, "labels": 64, "boxes": (128, 192), "masks": 129,
             "keypoints": (97, 73)},
    "small": {"depth": 26, "width": 0.25, "labels": 128, "boxes": (192, 256), "masks": 241,
              "keypoints": (129, 97)},
    "resnet50": {"depth": 50, "width": 1.0, "labels": 224, "boxes": (600, 1024), "masks": 513,
                 "keypoints": (257, 193)},
    "resnet101": {"depth": 101, "width": 1.0, "labels": 299, "boxes": (600, 1024), "masks": 513,
                  "keypoints": (353, 257)},
}
TASKS = {"labels": table1_imagenet, "boxes": table2_coco, "masks": fig6_segmentation,
         "keypoints": table6_pose}

# Pictures a step; passes over the pictures and learning rates, from random weights and from others.
BATCH = {"labels": 32, "boxes": 1, "masks": 8, "keypoints": 16}
EPOCHS = {"labels": (60, 30), "boxes": (30, 15), "masks": (60, 30), "keypoints": (60, 30)}
RATES = {"labels": (0.05, 0.01), "boxes": (0.01, 0.003), "masks": (0.03, 0.01),
         "keypoints": (0.03, 0.01)}
FEWEST_STEPS = 300  # below that a warm-up and a decay do not make a schedule
SMALL_PICTURES = 100  # at whose side ImageNet's stem, which divides by four, leaves too little
SHORT_RUN = 20_000  # steps up to which batch-norm's moving statistics must follow faster


def get_config(arg: str = "", records: str = "") -> ml_collections.ConfigDict:
  """`size[,labels|boxes|masks|keypoints]`; without a kind, that of the records.

  Args:
    arg: the row.
    records: folder of the record sets.
  """
  size, _, kind = (arg or "small").partition(",")
  kind = kind or (contents.read(records).kind if records else "labels")
  if size not in SIZES or kind not in TASKS:
    raise ValueError(f"{arg!r}: expected {', '.join(SIZES)}, optionally with {', '.join(TASKS)}")
  config = TASKS[kind].paper()
  for key, value in _open(kind).items():
    rows.put(config, key, value)
  config.size, config.kind = size, kind
  # Found again from wherever the run is evaluated.
  config.task.records = os.path.abspath(records) if records else "records"
  return config


def _open(kind: str) -> dict[str, Any]:
  """Values by dotted key: open ones, for `complete` to fill, and those that no records change."""
  own: dict[str, dict[str, Any]] = {
      "labels": {"task.multi_label": placeholder(bool), "task.resize": placeholder(int),
                 "task.crop": placeholder(int),
                 "task.augmentation": {"colour": 0.0, "zoom": 1.0, "mixup": 0.0}},
      "boxes": {"task.min_side": placeholder(int), "task.max_side": placeholder(int),
                "task.anchors.base": placeholder(float), "task.proposals": placeholder(int),
                "task.sampling.boxes": placeholder(int)},
      "masks": {"task.resize": placeholder(int), "task.rates": placeholder(tuple),
                "task.mirror": True},
      "keypoints": {"task.crop": placeholder(tuple), "task.radius": placeholder(float),
                    "task.intermediate_unit": placeholder(int), "task.schema": "records"}}
  if kind != "boxes":
    own[kind]["task.batch_size"] = placeholder(int)
  if kind != "labels":
    own[kind]["task.backbone.output_stride"] = 16
  return {
      "epochs": placeholder(float),
      "task.train_split": "train", "task.eval_splits": placeholder(tuple),
      "task.batch_norm": placeholder(str),
      "task.backbone.depth": placeholder(int), "task.backbone.width": placeholder(float),
      "task.backbone.stem": placeholder(str),
      "task.backbone.batch_norm_momentum": placeholder(float),
      "optimizer": {"name": "momentum", "momentum": 0.9},
      "schedule": {"name": "polynomial", "initial": placeholder(float), "steps": placeholder(int),
                   "power": 1.0, "start": placeholder(int), "warm_up": placeholder(int)},
      "train.steps": placeholder(int), "train.checkpoint_every": placeholder(int),
      "train.log_every": placeholder(int), "train.startup_delay": 0, "train.weight_decay": 1e-4,
      "train.ema_decay": 0.0, "init.checkpoint": "", **own[kind]}


def complete(config: ml_collections.ConfigDict) -> dict[str, str]:
  """Fills what is open from the records and from `epochs`; why each value is what it is, by key.

  Raises:
    DataError: there are no such records, or none to learn from or to measure with.
  """
  held = contents.read(config.task.records)
  started = bool(config.init.checkpoint)
  if held.kind != config.kind:
    raise ValueError(f"{config.task.records} has {held.kind}: expected {config.kind}, as the row "
                     "says, or a row without it")
  reasons = {"task.records": held.text()}

  def fill(key: str, value: Any, why: str) -> Any:
    """Sets a key that is open; the value that it has then."""
    if rows.value(config, key) is None:
      rows.put(config, key, value)
      reasons[key] = why
    return rows.value(config, key)

  fill("task.eval_splits", held.evaluation, "the other splits of the records")
  _network(config, fill, held, started)
  batch = 1 if held.kind == "boxes" else fill("task.batch_size", BATCH[held.kind],
                                               "usual for small networks")
  start = "from weights" if started else "from random weights"
  seen, given = held.people or held.pictures, config.epochs is not None
  epochs = fill("epochs", float(EPOCHS[held.kind][started]), f"usual {start}")
  wanted, what = round(epochs * seen / batch), "people" if held.people else "pictures"
  if given or wanted >= FEWEST_STEPS:
    steps = fill("train.steps", max(1, wanted),
                 f"{epochs:g} epochs of {seen:,} {what} in batches of {batch}")
  else:
    steps = fill("train.steps", FEWEST_STEPS, "the fewest that make a schedule")
  fill("schedule.initial", RATES[held.kind][started] * batch / BATCH[held.kind],
       f"usual {start}, in proportion to the batch")
  fill("schedule.steps", steps, "the end of training")
  fill("schedule.start", steps // 2, "half of the steps at full rate, then down to zero")
  fill("schedule.warm_up", steps // 20, "a twentieth of the steps")
  fill("train.checkpoint_every", -(-steps // 10), "ten checkpoints")
  fill("train.log_every", max(1, min(50, steps // 100)), "a hundred points of a curve or more")
  fill("task.backbone.batch_norm_momentum", 0.9 if steps < SHORT_RUN else 0.997,
       f"{'below' if steps < SHORT_RUN else 'from'} {SHORT_RUN:,} steps")
  return reasons


def _network(config: ml_collections.ConfigDict, fill: Any, held: contents.Contents,
             started: bool) -> None:
  """Fills the network and the sides of its pictures."""
  row, kind = SIZES[config.size], held.kind
  side: Any = row[kind]
  stored = "the pictures are no larger"
  if kind == "labels":
    crop = fill("task.crop", min(side, max(32, held.short_side)),
                stored if held.short_side < side else f"of {config.size}")
    fill("task.resize", round(crop * 340 / 299), "340 to 299, as in the paper")
    fill("task.multi_label", held.several, "so the records have it")
    fill("task.batch_norm", "train", "by the batch")
  elif kind == "boxes":
    low, high = side
    low = fill("task.min_side", min(low, held.short_side),
               stored if held.short_side < low else f"of {config.size}")
    fill("task.max_side", max(high, low), f"of {config.size}")
    fill("task.anchors.base", 256.0 * low / 600, "256 at the paper's side of 600")
    # conv5 runs on each of them: on two cores that is most of a step.
    narrow = row["width"] < 1
    fill("task.proposals", 64 if narrow else 300, f"of {config.size}")
    fill("task.sampling.boxes", 32 if narrow else 256, f"of {config.size}")
  elif kind == "masks":
    most = (max(held.long_side, 65) - 1) // 8 * 8 + 1
    fill("task.resize", min(side, most), stored if most < side else f"of {config.size}")
    small = config.task.resize < 300
    fill("task.rates", (1, 2, 3, 4) if small else (3, 6, 9, 12),
         "windows of a small map" if small else "half of the paper's, as its stride is doubled")
  else:
    height = fill("task.crop", side, f"of {config.size}")[0]
    fill("task.radius", 25.0 * height / 353, "25 at the paper's height of 353")
    # A heatmap of its own at unit 10 of conv4 helps 23 units; the others have six or fewer.
    fill("task.intermediate_unit", 10 if row["depth"] == 101 else 1, f"units of {config.size}")
  if kind != "labels":
    fill("task.batch_norm", "frozen" if started else "recalibrate" if kind == "boxes" else "train",
         "by the statistics of the weights" if started else "one picture is no batch" if
         kind == "boxes" else "by the batch")
  if started:
    return  # as the weights have it
  tiny_pictures = kind == "labels" and config.task.crop < SMALL_PICTURES
  fill("task.backbone.depth", row["depth"], f"of {config.size}")
  fill("task.backbone.width", row["width"], f"of {config.size}")
  fill("task.backbone.stem", "small" if tiny_pictures else "imagenet",
       f"crops below {SMALL_PICTURES} pixels" if tiny_pictures else "He et al.'s")
