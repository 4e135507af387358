"""The numbers of section 5.2, and of the code it cites, as the configurations have them."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import (
    fig4_data_size,
    fig5_capacity,
    table2_coco,
    table3_voc,
    table4_epochs,
    table5_classes,
)
from jft_reps.workflows import compose, configuration

MODULES = (table2_coco, table3_voc, table4_epochs, table5_classes, fig4_data_size, fig5_capacity)


def rates(config, *steps):
  schedule = compose.options(config).schedule
  return np.array([float(schedule(step)) for step in steps])


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_every_row_has_the_papers_system(module):
  for row in module.ROWS:
    config = module.get_config(row)
    options = compose.options(config)
    assert (config.optimizer.name, config.optimizer.momentum) == ("momentum", 0.9)
    assert (options.weight_decay, options.gradient_clip) == (0.0, 10.0)
    assert (config.task.min_side, config.task.max_side, config.task.proposals) == (600, 1024, 300)
    assert (config.task.sampling.rpn, config.task.sampling.boxes) == (64, 256)
    assert config.task.batch_norm == ("recalibrate" if row == "random" else "frozen")
    assert config.task.backbone.output_stride == 16 and config.task.frozen_through is None
    depth = int(row.split("-")[0]) if module is fig5_capacity else 101
    assert config.task.backbone.depth == depth


@pytest.mark.parametrize("module,row,first,drop,steps", [
    (table2_coco, "300M", 4e-4, 2_500_000, 3_000_000),
    (table2_coco, "300M,frozen", 4e-4, 900_000, 1_500_000),
    (table3_voc, "300M", 3e-4, 500_000, 700_000),
    (table3_voc, "300M,late", 3e-4, 590_000, 900_000),
    (table4_epochs, "12M", 4e-4, 2_500_000, 3_000_000),
    (table5_classes, "1K", 4e-4, 2_500_000, 3_000_000),
    (fig4_data_size, "coco-10M,frozen", 4e-4, 900_000, 1_500_000),
    (fig4_data_size, "voc-10M", 3e-4, 500_000, 700_000),
    (fig5_capacity, "152-300M", 4e-4, 2_500_000, 3_000_000),
])
def test_rates_drop_once_by_ten(module, row, first, drop, steps):
  config = module.get_config(row)
  assert config.train.steps == steps
  np.testing.assert_allclose(rates(config, 0, drop - 1, drop, steps - 1),
                             [first, first, first / 10, first / 10], rtol=1e-6)


def test_options_change_what_they_name_and_nothing_else():
  plain, huang = (configuration.flat(table2_coco.get_config(a)) for a in ("300M", "300M,huang"))
  assert {k: huang[k] for k in plain if plain[k] != huang[k]} == {
      "task.sampling.rpn": 256, "task.sampling.boxes": 64}
  frozen = configuration.flat(table2_coco.get_config("300M,frozen"))
  assert {k for k in plain if plain[k] != frozen[k]} == {
      "task.frozen_through", "schedule.boundaries", "train.steps"}
  assert table3_voc.get_config("300M").task.metric == "voc"
  atrous = configuration.flat(table2_coco.get_config("300M,atrous"))
  assert {k: atrous[k] for k in plain if plain[k] != atrous[k]} == {
      "task.backbone.output_stride": 8, "task.rpn_rate": 2}
  with pytest.raises(ValueError, match="late or frozen"):
    table3_voc.get_config("300M,late,frozen")


@pytest.mark.parametrize("one,other", [
    ("300M,frozen,laptop", "300M,laptop,frozen"), ("300M,huang,laptop", "300M,laptop,huang")])
def test_options_may_be_given_in_any_order(one, other):
  found = [table2_coco.get_config(arg) for arg in (one, other)]
  assert found[0] == found[1] and compose.options(found[0]).steps == 1200
  assert found[0].task.sampling.rpn == (256 if "huang" in one else 64)
  assert found[0].task.frozen_through == ("conv4" if "frozen" in one else None)


def test_an_unknown_row_is_refused():
  with pytest.raises(ValueError, match="'400M': expected ImageNet, 300M"):
    table2_coco.get_config("400M")


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_expected_numbers_say_where_they_come_from(module):
  for row, metric, value, tolerance, source, mark in module.EXPECTED:
    assert row in module.ROWS
    names = ("test-dev: coco/AP",) if module is table2_coco else ("coco/AP", "voc/mAP")
    assert metric.startswith(names)
    assert 0 < tolerance < value < 1 and mark in ("seed", "found", "memory")
    assert ("remembered" in source) == (mark == "memory")


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_every_row_can_be_had_in_miniature(module):
  for row in module.ROWS:
    config = module.get_config(f"{row},laptop")
    assert config.train.steps <= 5000 and config.task.min_side <= 128
    assert config.init.checkpoint == module.get_config(row).init.checkpoint
