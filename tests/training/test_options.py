"""Numbers that make no sense are refused before anything starts."""

from __future__ import annotations

import math

import pytest

from jft_reps.errors import ConfigError
from jft_reps.training import optimizers, schedules, trainer


@pytest.mark.parametrize("name,value", [
    *((n, 0) for n in ("steps", "checkpoint_every", "keep", "log_every", "inner_steps",
                       "in_flight", "liveness_timeout")),
    *((n, -1) for n in ("startup_delay", "max_restarts", "max_skipped", "weight_decay",
                        "ema_decay", "keep")),
    ("steps", 10.5), ("steps", None), ("steps", True), ("keep", "5"), ("ema_decay", 1.5),
    ("weight_decay", math.nan), ("weight_decay", math.inf), ("seed", 0.5),
    ("keep_steps", (5, -1)), ("keep_steps", (2.5,))])
def test_a_senseless_option_is_refused_by_name(name, value):
  values = {"steps": 10, "optimizer": optimizers.Momentum(),
            "schedule": schedules.PiecewiseConstant((0.1,)), name: value}
  with pytest.raises(ConfigError, match=f"train.{name}: "):
    trainer.TrainerOptions(**values)
