"""Learning rates at the steps where a mistake would show."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.training import schedules

M = 1_000_000


@pytest.mark.parametrize("step,drops", [
    (0, 0), (3 * M - 1, 0), (3 * M, 1), (36 * M - 1, 11), (36 * M, 12), (90 * M - 1, 29),
    (90 * M, 30)])
def test_the_papers_staircase(step, drops):
  found = schedules.ExponentialDecay(1e-3, 0.9, 3 * M)(tf.constant(step, tf.int64))
  assert found.dtype == tf.float32
  np.testing.assert_allclose(found, 1e-3 * 0.9**drops, rtol=1e-6)


def test_the_staircase_can_be_smooth():
  found = schedules.ExponentialDecay(1.0, 0.5, 10, staircase=False)(tf.constant(5, tf.int64))
  np.testing.assert_allclose(found, 0.5**0.5, rtol=1e-6)


def test_polynomial_holds_then_falls_to_zero():
  schedule = schedules.Polynomial(0.2, steps=100, power=1.0, start=60)
  found = [float(schedule(tf.constant(s, tf.int64))) for s in (0, 60, 80, 100, 500)]
  np.testing.assert_allclose(found, [0.2, 0.2, 0.1, 0, 0], atol=1e-7)
  poly = schedules.Polynomial(1e-3, steps=30_000, power=0.9)
  np.testing.assert_allclose(poly(tf.constant(10_000, tf.int64)), 1e-3 * (2 / 3) ** 0.9, rtol=1e-6)


def test_piecewise_constant_drops_at_its_boundary():
  schedule = schedules.PiecewiseConstant((4e-4, 4e-5), (2_500_000,))
  for step, expected in ((0, 4e-4), (2_499_999, 4e-4), (2_500_000, 4e-5)):
    np.testing.assert_allclose(schedule(tf.constant(step, tf.int64)), expected, rtol=1e-6)


def test_warm_up_rises_to_the_schedule():
  schedule = schedules.WarmUp(schedules.PiecewiseConstant((1.0,)), 4)
  found = [float(schedule(tf.constant(s, tf.int64))) for s in range(6)]
  np.testing.assert_allclose(found, [0.25, 0.5, 0.75, 1, 1, 1])
