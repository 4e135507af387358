"""The Python face: what the programs do, as functions with arguments.

    from jft_reps import workflows

    config = workflows.load("experiments/table2_coco.py:300M,laptop")
    workflows.train(config, "RUN")
    numbers = workflows.evaluate(config, "RUN")

Importing it loads no TensorFlow; what a function needs is imported when it is called.
"""

from typing import Any

from jft_reps.workflows.configuration import load
from jft_reps.workflows.evaluation import evaluate, follow
from jft_reps.workflows.exporting import export
from jft_reps.workflows.probing import probe
from jft_reps.workflows.training import train
from jft_reps.workflows.weights import open_source

__all__ = ["evaluate", "export", "follow", "forecast", "load", "open_source", "probe", "train"]


def __getattr__(name: str) -> Any:
  """`forecast` when it is asked for: it needs SciPy, whose import takes half a second."""
  if name != "forecast":
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  from jft_reps.workflows.forecasting import forecast

  return forecast
