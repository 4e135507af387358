"""The numbers of section 5.3 as the configuration of Figure 6 has them."""

from __future__ import annotations

import pytest

from experiments import fig6_segmentation
from jft_reps.workflows import compose, configuration


def test_rates_steps_and_decay_are_the_papers():
  config = fig6_segmentation.get_config("300M")
  options = compose.options(config)
  assert (config.task.batch_size, config.task.resize, config.train.steps) == (6, 514, 30_000)
  assert (options.weight_decay, config.optimizer.momentum) == (5e-4, 0.9)
  assert tuple(config.task.rates) == (6, 12, 18, 24) and config.task.backbone.output_stride == 8
  for step in (0, 10_000, 29_999):
    assert float(options.schedule(step)) == pytest.approx(1e-3 * (1 - step / 30_000) ** 0.9, 1e-5)


@pytest.mark.parametrize("row", fig6_segmentation.ROWS)
def test_the_paper_and_its_laptop_are_the_same_task(row):
  small, full = ({key for key in configuration.flat(fig6_segmentation.get_config(row + options))
                  if not key.startswith("toy_world")} for options in (",laptop", ""))
  assert small == full


def test_options_change_what_they_name():
  crops = fig6_segmentation.get_config("300M,augmented").task
  assert (crops.resize, crops.crop, crops.mirror) == (None, 513, True)
  assert tuple(crops.scale) == (0.5, 2.0)
  with pytest.raises(ValueError, match="expected ImageNet"):
    fig6_segmentation.get_config("300K")
