"""The numbers of sections 4.1 and 5.1 as the configuration of Table 1 has them."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import table1_imagenet
from jft_reps.workflows import compose


@pytest.mark.parametrize("row,first,steps", [("random", 5e-2, 5_000_000),
                                             ("300M", 1e-3, 4_000_000)])
def test_rates_steps_and_decay_are_the_papers(row, first, steps):
  config = table1_imagenet.get_config(row)
  options = compose.options(config)
  assert options.steps == steps and options.weight_decay == 1e-4
  for step, drops in ((0, 0), (1_199_999, 0), (1_200_000, 1), (2_399_999, 1), (3_600_000, 3)):
    np.testing.assert_allclose(options.schedule(step), first * 0.1**drops, rtol=1e-5)
  assert (config.optimizer.name, config.optimizer.momentum) == ("momentum", 0.9)
  assert (config.task.batch_size, config.task.resize, config.task.crop) == (32, 340, 299)
  assert (config.task.backbone.depth, config.init.checkpoint) == (
      101, "" if row == "random" else row)


def test_every_expected_number_is_of_a_row_and_none_is_from_memory():
  for row, metric, value, tolerance, source, mark in table1_imagenet.EXPECTED:
    assert row in table1_imagenet.ROWS and 0 < tolerance < value < 1 and source
    assert metric in ("classification/top1", "classification/top5") and mark in ("seed", "found")


def test_a_row_can_be_had_in_miniature_and_an_unknown_one_not():
  config = table1_imagenet.get_config("300M,laptop")
  assert config.task.backbone.depth == 14 and config.train.steps == 600
  assert config.init.checkpoint == "300M"
  with pytest.raises(ValueError, match="'400M': expected random, 300M, frozen"):
    table1_imagenet.get_config("400M")
