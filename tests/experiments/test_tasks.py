"""What the studies say of each task: its work, its cluster, its rates and its numbers."""

from __future__ import annotations

import importlib
import pathlib
import re

import pytest

from experiments import (
    fig3_pretraining,
    fig5_capacity,
    fig6_segmentation,
    table1_imagenet,
    table2_coco,
    table3_voc,
    table6_pose,
)
from experiments.study import tasks
from jft_reps.errors import ConfigError
from jft_reps.studies.cluster import machine_hours
from jft_reps.workflows import configuration


@pytest.mark.parametrize("config,expected", [
    (fig3_pretraining.get_config("random"), machine_hours.classification(101, 299, 299, 18_291)),
    (table1_imagenet.get_config("300M"), machine_hours.classification(101, 299, 299, 1000)),
    (table1_imagenet.get_config("frozen"),
     machine_hours.classification(101, 299, 299, 1000, "conv5")),
    (table2_coco.get_config("300M"), machine_hours.detection(101, 600, 1024, 80)),
    (table2_coco.get_config("300M,huang,atrous"),
     machine_hours.detection(101, 600, 1024, 80, boxes=64, output_stride=8)),
    (fig5_capacity.get_config("152-300M,frozen"),
     machine_hours.detection(152, 600, 1024, 80, frozen_through="conv4")),
    (fig6_segmentation.get_config("300M"), machine_hours.segmentation(101, 514, 514, 21)),
    (fig6_segmentation.get_config("300M,augmented"), machine_hours.segmentation(101, 513, 513, 21)),
    (table6_pose.get_config("300M"), machine_hours.pose(101, 353, 257, 17))])
def test_a_configuration_is_read_as_it_is_trained(config, expected):
  assert tasks.work(config.task.to_dict()) == expected


@pytest.mark.parametrize("config", ["300M,laptop", "deeper"])
def test_what_has_no_full_size_is_refused(config):
  task = table2_coco.get_config("300M,laptop" if "laptop" in config else "300M").task.to_dict()
  if config == "deeper":
    task["backbone"]["depth"] = 1001
  with pytest.raises(ConfigError, match="machine-hours"):
    tasks.work(task)


def _pose():
  """Under parameter servers: as many crops as the recipe's 16 GPUs, in pushes of one worker."""
  config = table6_pose.get_config("300M")
  config.train.steps *= 8
  return config


@pytest.mark.parametrize("label,config,workers,servers", [
    ("pre-training", fig3_pretraining.get_config("random"), 50, 17),
    ("ImageNet from scratch", table1_imagenet.get_config("random"), 50, 17),
    ("COCO detection, 3M", table2_coco.get_config("300M"), 9, 11),
    ("the same, frozen", table2_coco.get_config("300M,frozen"), 9, 11),
    ("COCO detection, ResNet-152", fig5_capacity.get_config("152-300M"), 9, 11),
    ("VOC detection", table3_voc.get_config("300M"), 9, 11),
    ("segmentation", fig6_segmentation.get_config("300M"), 1, 1),
    ("pose", _pose(), 8, 1)])
def test_the_documents_table_is_what_the_model_says(root, label, config, workers, servers):
  lines = (root / "docs" / "cluster.md").read_text().splitlines()
  row = next(line for line in lines if line.startswith(f"| {label}"))
  work = tasks.work(config.task.to_dict())
  batch = config.task.get("batch_size", 1)
  hours = machine_hours.model(work, batch, config.train.steps, workers, servers)
  _, _, forward, step, gpu_hours, days, _ = (cell.strip() for cell in row.split("|"))
  assert (forward, step) == (f"{work.forward / 1e9:.0f}G", f"{hours.step:.1f}")
  assert gpu_hours == f"{hours.gpu_hours:,.0f}"
  assert days == "not stated" or days == f"{hours.days:.1f} on {workers} and {servers} servers"


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_task_is_of_its_configuration(name, root):
  task = tasks.TASKS[name]
  config, module = configuration.read_config(f"{root / task.config}:")
  assert tasks.of_config(config.task) is task
  if task.number:
    train, _, test = task.splits
    assert (train, (test,)) == (config.task.train_split, config.task.eval_splits)
    assert task.number in task.numbers and {*task.headings} - {*task.numbers} == set()
  if task.generated:
    made = configuration.read_config(f"{root / task.config}:{next(iter(module.ROWS))},laptop")[0]
    assert {*made.toy_world.splits} == {f"{task.generated}_{s}" for s in ("train", "dev", "test")}
    assert set(task.laptop.rates) <= set(task.miniature.rates)


_TAKES = re.compile(r"`([^`]+)` takes ([\d.]+) days on (?:the paper's|our) (\d+) workers?"
                    r"(?: \(one K80 each\))? and (\d+) servers?, ([\d,]+) GPU-hours")
_FILES = sorted(p.stem for p in (pathlib.Path(__file__).parents[2] / "experiments").glob("*.py")
                if "\nROWS = " in p.read_text())


@pytest.mark.parametrize("name", _FILES)
def test_the_time_that_a_table_says_it_takes_is_the_models(name):
  module = importlib.import_module(f"experiments.{name}")
  said = _TAKES.findall(" ".join(module.__doc__.split()))
  assert len(said) == module.__doc__.count("GPU-hours") >= 1
  for row, days, workers, servers, gpu_hours in said:
    config = module.get_config(row)
    task = tasks.of_config(config.task)
    hours = machine_hours.model(
        tasks.work(config.task.to_dict()), config.task.get("batch_size", 1),
        task.pushes or config.train.steps, *task.cluster)
    assert (int(workers), int(servers)) == task.cluster
    assert (days, gpu_hours) == (f"{hours.days:.1f}", f"{hours.gpu_hours:,.0f}")


@pytest.mark.parametrize("module, systems", [
    (table1_imagenet, 1), (table2_coco, 2), (table6_pose, 1)])
def test_what_is_cited_is_no_row_that_is_trained(module, systems):
  assert len({row for row, *_ in module.CITED}) == systems
  judged = {metric for _, metric, *_ in module.EXPECTED}
  for row, metric, value, source, mark in module.CITED:
    assert row not in module.ROWS and metric in judged and 0 < value < 1
    assert mark in ("found", "memory") and ("remembered" in source) == (mark == "memory")
