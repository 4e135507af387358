"""How long and how a task is trained."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Sequence

import tensorflow as tf

from jft_reps.errors import ConfigError
from jft_reps.training.optimizers import Optimizer


@dataclasses.dataclass(frozen=True)
class TrainerOptions:
  """How long and how a task is trained. Numbers of the paper are section 4.1's.

  Args:
    steps: pushes in all; the paper stopped at 36M of a 90M schedule.
    optimizer: such as `optimizers.RMSProp`.
    schedule: learning rate of the global step.
    weight_decay: on convolution and dense kernels.
    ema_decay: of the moving average of the weights, 0 for none.
    gradient_clip: longest gradient of each variable by itself, 0 for any (10 in detection, as in
      the code of Huang et al. 2017).
    checkpoint_every: pushes between checkpoints.
    keep: newest checkpoints that stay.
    keep_steps: milestones that stay for ever (12M, 24M and 36M for the schedule study): of each
      the first checkpoint at or after it.
    log_every: pushes between points of the curves.
    seed: of initial weights, order and augmentation.
    in_flight, inner_steps, startup_delay, liveness_timeout: see `engines.Coordinated`.
    max_restarts: unattended restarts after a lost server without a new checkpoint in between.
    max_skipped: pushes in a row that may be dropped as not finite before the run stops; it also
      stops when more than 1 % of the last 1,000 were dropped.

  Raises:
    ConfigError: a number makes no sense.
  """

  steps: int
  optimizer: Optimizer
  schedule: Callable[[tf.Tensor], tf.Tensor]
  weight_decay: float = 1e-4
  ema_decay: float = 0.0
  gradient_clip: float = 0.0
  checkpoint_every: int = 10_000
  keep: int = 5
  keep_steps: Sequence[int] = ()
  log_every: int = 100
  seed: int = 0
  in_flight: int | None = None
  inner_steps: int = 1
  startup_delay: int = 0
  liveness_timeout: float = 600.0
  max_restarts: int = 5
  max_skipped: int = 10

  def __post_init__(self):
    for name in ("steps", "checkpoint_every", "keep", "log_every", "inner_steps"):
      self._check(name, numbers.Integral, "a whole number, at least 1", 1)
    if self.in_flight is not None:
      self._check("in_flight", numbers.Integral, "a whole number, at least 1", 1)
    for name in ("startup_delay", "max_restarts", "max_skipped"):
      self._check(name, numbers.Integral, "a whole number from 0", 0)
    self._check("seed", numbers.Integral, "a whole number")
    self._check("weight_decay", numbers.Real, "a number from 0", 0)
    self._check("gradient_clip", numbers.Real, "a number from 0", 0)
    self._check("ema_decay", numbers.Real, "a number from 0 to 1", 0, 1)
    self._check("liveness_timeout", numbers.Real, "seconds, at least 1", 1)
    if not all(isinstance(m, numbers.Integral) and m >= 0 for m in self.keep_steps):
      raise ConfigError("config-value", "config.train.keep_steps", repr(tuple(self.keep_steps)),
                        "whole numbers from 0")

  def _check(self, name: str, kind: type[numbers.Real], expected: str, least: float = -math.inf,
             most: float = math.inf) -> None:
    value = getattr(self, name)
    fine = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    if not (fine and least <= value <= most):
      raise ConfigError("config-value", f"config.train.{name}", repr(value), expected)
