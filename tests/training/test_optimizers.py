"""The fused updates equal NumPy transcriptions of TF1's formulas, across a drop of the rate."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.training import optimizers, schedules


def run(optimizer, gradients, start, schedule):
  variable = tf.Variable(start)
  slots = {n: tf.Variable(tf.fill(start.shape, np.float32(v)))
           for n, v in optimizer.slots().items()}
  for step, gradient in enumerate(gradients):
    optimizer.apply(variable, slots, tf.constant(gradient), schedule(tf.constant(step, tf.int64)))
  return variable.numpy(), {n: v.numpy() for n, v in slots.items()}


@pytest.fixture(scope="module")
def problem():
  rng = np.random.default_rng(0)
  return rng.normal(size=(50, 4, 3)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)


def rate(step, drop=25):
  return 0.1 if step < drop else 0.1 * 0.9


@pytest.mark.parametrize("rho,momentum,epsilon", [(0.9, 0.9, 1.0), (0.95, 0.5, 1e-3)])
def test_rmsprop_is_tf1s(problem, rho, momentum, epsilon):
  gradients, start = problem
  w, ms, mom = start.astype(np.float64), np.ones((4, 3)), np.zeros((4, 3))
  for step, g in enumerate(gradients.astype(np.float64)):
    ms = rho * ms + (1 - rho) * g**2
    mom = momentum * mom + rate(step) * g / np.sqrt(ms + epsilon)
    w = w - mom
  found, slots = run(optimizers.RMSProp(rho, momentum, epsilon), gradients, start,
                     schedules.ExponentialDecay(0.1, 0.9, 25))
  np.testing.assert_allclose(found, w, rtol=2e-5, atol=2e-6)
  np.testing.assert_allclose(slots["rms"], ms, rtol=2e-5)
  np.testing.assert_allclose(slots["momentum"], mom, rtol=1e-4, atol=1e-6)


def test_momentum_accumulates_gradients_not_steps(problem):
  gradients, start = problem
  w, accumulator = start.astype(np.float64), np.zeros((4, 3))
  for step, g in enumerate(gradients.astype(np.float64)):
    accumulator = 0.9 * accumulator + g
    w = w - rate(step) * accumulator
  found, slots = run(optimizers.Momentum(0.9), gradients, start,
                     schedules.ExponentialDecay(0.1, 0.9, 25))
  np.testing.assert_allclose(found, w, rtol=2e-5, atol=2e-6)
  np.testing.assert_allclose(slots["momentum"], accumulator, rtol=1e-4, atol=1e-6)
