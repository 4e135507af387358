"""A run of the programs that takes seconds: a generated world of small pictures."""

from __future__ import annotations

CONFIG = "experiments/fig3_pretraining.py:random,laptop"
_SMALL = (
    "task.resize=20", "task.crop=16", "task.batch_size=8", "task.eval_batch_size=12",
    "task.shuffle=64", "toy_world.size=32", "toy_world.splits.train=64,2",
    "toy_world.splits.fasteval=24,1", "toy_world.processes=1")


def arguments(workdir, *more: str, steps: int = 2, checkpoint_every: int = 2) -> list[str]:
  """Arguments of `train` and `evaluate`, program name first.

  Args:
    workdir: the run directory.
    *more: further arguments.
    steps: pushes in all.
    checkpoint_every: pushes between checkpoints.
  """
  small = [*_SMALL, f"train.steps={steps}", f"train.checkpoint_every={checkpoint_every}"]
  return ["program", f"--config={CONFIG}", f"--workdir={workdir}",
          *(f"--config.{value}" for value in small), *more]
