"""The numbers of section 5.4, which are those of Papandreou et al. 2017, as the code has them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from experiments import table6_pose
from jft_reps.ops import person_crops
from jft_reps.tasks.evaluators import poses
from jft_reps.workflows import compose, configuration

ROWS = ("ImageNet", "300M", "ImageNet+300M", "random")


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_the_system_of_the_paper(row):
  config = table6_pose.get_config(row)
  options = compose.options(config)
  schedule = [float(options.schedule(step)) for step in (0, 400_000, 799_999)]
  np.testing.assert_allclose(schedule, [5e-3] * 3, rtol=1e-6)
  assert config.train.steps == 800_000 and config.optimizer.momentum == 0.0
  assert config.task.crop == (353, 257) and config.task.enlarge == (1.0, 1.5)
  assert (config.task.radius, config.task.suppression, config.task.batch_size) == (25.0, 0.5, 3)
  assert config.task.backbone.output_stride == 8 and config.task.backbone.depth == 101
  assert config.task.batch_norm == ("recalibrate" if row == "random" else "frozen")
  assert config.train.ema_decay > 0 and config.task.frozen_through is None


def test_expected_numbers_are_those_of_the_papers_table():
  best = {(row, metric): value for row, metric, value, *_ in table6_pose.EXPECTED}
  assert best["ImageNet", "test-dev: keypoints/AP"] == 0.624
  assert best["300M", "test-dev: keypoints/AP"] == 0.648
  assert best["ImageNet+300M", "test-dev: keypoints/AP"] == 0.644
  assert {row for row, _ in best} <= set(ROWS)
  assert all(mark in ("found", "memory") for *_, mark in table6_pose.EXPECTED)


def test_evaluation_looks_at_a_box_and_a_quarter():
  box = tf.constant([[10.0, 20.0, 10.0 + 353, 20.0 + 257]])
  region = person_crops.region(box, poses.ENLARGED, 353, 257).numpy()[0]
  np.testing.assert_allclose(region[2:] - region[:2], [1.25 * 353, 1.25 * 257], rtol=1e-5)
  np.testing.assert_allclose((region[2:] + region[:2]) / 2, [186.5, 148.5], rtol=1e-5)


@pytest.mark.parametrize("row", ROWS)
def test_the_paper_and_its_laptop_are_the_same_task(row):
  small, full = (configuration.flat(table6_pose.get_config(row + o)) for o in (",laptop", ""))
  assert {k for k in full if k.startswith(("task", "train", "init"))} == {
      k for k in small if k.startswith(("task", "train", "init"))}


def test_options_change_what_they_name():
  frozen = table6_pose.get_config("300M,frozen")
  assert frozen.task.frozen_through == "conv4"
  plain = configuration.flat(table6_pose.get_config("300M"))
  changed = {key for key, value in configuration.flat(frozen).items() if plain.get(key) != value}
  assert changed == {"task.frozen_through"}
  with pytest.raises(ValueError, match="expected"):
    table6_pose.get_config("300M,frosen")
