"""Configurations at full size: all of them parse, and one training step of each kind of network.

Records hold a picture or two of noise; networks, pictures and vocabularies have the paper's size.
Batches are smaller where memory is: `Case.batch`.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from experiments.study import tasks
from jft_reps.data.records import keypoint_schema, label_map, schema
from jft_reps.data.records.writing import Writer
from jft_reps.models.variables import named_variables
from jft_reps.studies.cluster import machine_hours
from jft_reps.task import START
from jft_reps.tasks.backbone import Backbone
from jft_reps.training import state as state_lib
from jft_reps.training.step import TrainStep
from jft_reps.workflows import compose, configuration

FILES = sorted(p for p in (pathlib.Path(__file__).parents[2] / "experiments").glob("*.py")
               if "\nROWS = " in p.read_text())
ROWS = [(path, row) for path in FILES
        for row in importlib.import_module(f"experiments.{path.stem}").ROWS]
JFT, IMAGENET, COCO, VOC, POINTS = 18_291, 1000, 80, 21, 17
NAMES = {"pretrain": [f"m{i}" for i in range(JFT)], "classify": [f"n{i}" for i in range(IMAGENET)],
         "detect": [f"o{i}" for i in range(COCO)], "segment": [f"s{i}" for i in range(VOC)],
         "pose": ["person"]}
HEIGHT, WIDTH = 375, 640  # of stored pictures: 600x1024 to a detector


@pytest.mark.parametrize("path,row", ROWS, ids=[f"{p.stem}:{row}" for p, row in ROWS])
def test_every_row_parses_at_full_size(path, row):
  config, module = configuration.read_config(f"{path}:{row}")
  options = compose.options(config)
  backbone = Backbone(**config.task.backbone)
  assert (backbone.width, backbone.stem, config.toy_world.to_dict()) == (1.0, "imagenet", {})
  assert options.steps >= 30_000 and options.inner_steps == 1
  work = tasks.work(config.task.to_dict())
  # Every network of the paper takes more than a classifier of ImageNet at 224.
  assert work.forward >= machine_hours.classification(backbone.depth, 224, 224, 1000).forward
  for option in getattr(module, "OPTIONS", {}):
    compose.options(configuration.read_config(f"{path}:{row},{option}")[0])


@pytest.fixture(scope="module")
def full_records(tmp_path_factory):
  """Folder by task of records with two pictures of noise."""
  random = np.random.default_rng(0)
  image = tf.io.encode_jpeg(random.integers(0, 256, [HEIGHT, WIDTH, 3], np.uint8)).numpy()
  mask = np.repeat(np.repeat(np.arange(VOC, dtype=np.uint8), 20)[np.newaxis], HEIGHT, 0)
  mask = np.pad(mask, [[0, 0], [0, WIDTH - mask.shape[1]]], constant_values=255)
  points = [[random.uniform(0.2, 0.8), random.uniform(0.4, 0.6), 2] for _ in range(POINTS)]
  boxes = {"boxes": [(0.1, 0.1, 0.6, 0.5), (0.3, 0.4, 0.9, 0.95)], "object_labels": [3, 79]}
  contents = {
      "pretrain": {"labels": [7, JFT - 1]}, "classify": {"labels": [999]}, "detect": boxes,
      "segment": {"segmentation": tf.io.encode_png(mask[..., np.newaxis]).numpy()},
      "pose": {"boxes": [(0.1, 0.3, 0.9, 0.7)], "object_labels": [0], "keypoints": [points]}}
  folders = {}
  for task, fields in contents.items():
    folders[task] = tmp_path_factory.mktemp(task)
    with Writer(folders[task], "train", 1) as writer:
      writer.metadata.update(label_map.metadata(label_map.write(folders[task], NAMES[task])))
      writer.metadata["keypoints"] = keypoint_schema.read("coco").to_json()
      for i in range(2):
        writer.write(f"p{i}", schema.encode(
            f"p{i}", image, "jpeg", HEIGHT, WIDTH, **{"labels": [], **fields}))
  return folders


@dataclasses.dataclass(frozen=True)
class Case:
  """A configuration, the trained variables it must have, and what the loss must be about.

  `losses`: value and relative tolerance by name, where the network knows nothing. `batch` replaces
  that of the paper.
  """

  config: str
  variables: int
  losses: dict[str, tuple[float, float]]
  batch: int = 0


def softplus(x):
  return math.log1p(math.exp(x))


# ResNets without their 1000 classes, as torchvision counts them, and heads by hand.
R50, R101, R152 = (count - 2049 * 1000 for count in (25_557_032, 44_549_160, 60_192_808))
DETECTOR = 9 * 1024 * 512 + 512 + 513 * 6 * 12 + 2049 * (81 + 4 * 80)
PRIOR = 1.26 / JFT  # labels of a picture (section 3)
BIAS = math.log(PRIOR / (1 - PRIOR))
CASES = [
    # Two labels of a picture are present.
    Case("fig3_pretraining.py:random", R101 + 2049 * JFT, batch=2,
         losses={"loss/classification": (JFT * softplus(BIAS) - 2 * BIAS, 0.12)}),
    Case("table1_imagenet.py:300M", R101 + 2049 * IMAGENET, batch=2,
         losses={"loss/classification": (math.log(IMAGENET), 0.08)}),
    Case("fig5_capacity.py:152-300M", R152 + DETECTOR,
         losses={"loss/rpn_objectness": (math.log(2), 0.2),
                 "loss/head_class": (math.log(81), 0.25)}),
    # Glorot's kernels of four branches: scores deviate by about 3, so up to three times ln 21.
    Case("fig6_segmentation.py:300M", R101 + 4 * VOC * (9 * 2048 + 1), batch=1,
         losses={"loss/total": (2 * math.log(VOC), 0.5)}),
    Case("table6_pose.py:300M", R101 + POINTS * (3 * 2049 + 1025), batch=1,
         losses={"loss/heatmap": (4 * POINTS * math.log(2), 0.2),
                 "loss/intermediate": (4 * POINTS * math.log(2), 0.2)}),
]


def full_config(reference, folders, batch=0):
  """The configuration with the test's records in place of the paper's."""
  name, _, row = reference.partition(":")
  config, _ = configuration.read_config(f"{FILES[0].parent / name}:{row}")
  config.task.update({"records": str(folders[config.task.name]), "train_split": "train",
                      "eval_splits": (), "shuffle": 2})
  if batch:
    config.task.batch_size = batch
  if config.task.name == "pretrain":
    config.task.prior = str(PRIOR)
  # Statistics come with weights, of which there are none: a deep network would overflow.
  if config.task.name != "classify" and config.task.get("batch_norm") == "frozen":
    config.task.update({"batch_norm": "recalibrate", "recalibration_pictures": 1})
  return config


@pytest.fixture
def pushed(full_records):
  """A function of a case: task, state, the push, and trained values from before it."""
  def push(case):
    config = full_config(case.config, full_records, case.batch)
    task, options = compose.task(config), compose.options(config)
    strategy = tf.distribute.get_strategy()
    tf.random.set_seed(0)
    state = state_lib.TrainState(task, options.optimizer, 1, len(task.reasons),
                                 options.ema_decay > 0, strategy)
    task.prepare(state.model)
    step = TrainStep(task, state, options.optimizer, options.schedule, strategy,
                     options.weight_decay, options.ema_decay, options.gradient_clip)
    batch = next(iter(task.train_dataset(START)))
    before = {name: variable.numpy() for name, variable in flat(state).items()}
    return task, state, step.decode(tf.function(step.push)(batch)), before

  yield push
  gc.collect()


def flat(state):
  """Variables of the model by path, parts by number."""
  return {f"{path}#{i}": variable for path, item in named_variables(state.model).items()
          for i, variable in enumerate(state_lib.variables_of(item))}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.config)
def test_one_step_at_full_size(case, pushed):
  """The loss is that of a network that knows nothing, and every variable hears of it."""
  task, state, push, before = pushed(case)
  assert push.finite and push.step == 1 and not push.dropped and push.scalars["grad_norm"] > 0
  for name, (value, tolerance) in case.losses.items():
    assert push.scalars[name] == pytest.approx(value, rel=tolerance), name
  assert sum(t.variable.shape.num_elements() for t in state.trained) == case.variables
  assert tasks.work(full_task(case)).variables == case.variables
  names = {id(variable): name for name, variable in flat(state).items()}
  for trained in state.trained:
    moved = trained.slots["momentum"].numpy().ravel()
    assert np.isfinite(moved).all() and moved.any(), trained.path
    value = before[names[id(trained.variable)]].ravel()
    if trained.decayed:  # decay alone would be along the kernel
      along = abs(moved @ value) / (np.linalg.norm(moved) * np.linalg.norm(value))
      assert along < 0.9, trained.path
  frozen = {n: v for n, v in flat(state).items() if "moving" in n}
  follows = case.config.startswith(("fig3", "table1"))
  assert all(np.array_equal(before[n], v.numpy()) != follows for n, v in frozen.items())


def full_task(case):
  path, _, row = case.config.partition(":")
  return configuration.read_config(f"{FILES[0].parent / path}:{row}")[0].task.to_dict()


NETWORKS = {  # that no case trains
    "fig5_capacity.py:50-ImageNet": R50 + DETECTOR,
    "table2_coco.py:random": R101 + DETECTOR,
    "table2_coco.py:300M,atrous": R101 + DETECTOR,
    "table1_imagenet.py:frozen": 2049 * IMAGENET,
    "fig4_data_size.py:voc-10M,frozen": 14_942_208 + 22_528 + DETECTOR,
    "fig6_segmentation.py:random,augmented": R101 + 4 * VOC * (9 * 2048 + 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("reference", NETWORKS)
def test_other_networks_have_the_variables_they_must(reference, full_records):
  config = full_config(reference, full_records)
  task = compose.task(config)
  found = sum(part.shape.num_elements() for item in task.trainable(task.build()).values()
              for part in state_lib.variables_of(item))
  assert found == NETWORKS[reference]
  count = {"detect": COCO}.get(config.task.name)
  assert tasks.work(config.task.to_dict(), count).trained_variables == found
