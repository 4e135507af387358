"""What tasks share that train a backbone on: its batch-norm, and what stays frozen."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import tensorflow as tf

from jft_reps.data.records import reasons
from jft_reps.errors import ConfigError
from jft_reps.models import batch_norm as batch_norm_lib
from jft_reps.models.depths import STAGES
from jft_reps.models.variables import named_variables
from jft_reps.task import START, Place
from jft_reps.tasks.backbone import trainable
from jft_reps.tasks.inputs.record_sets import RecordSets

Sets = TypeVar("Sets", bound=RecordSets)


class FineTuning(Generic[Sets]):
  """A task on record sets whose model has a `backbone`, from scratch or from a representation.

  Args:
    sets: the record sets.
    batch_norm: `frozen`: by the statistics that came with the weights; `train`: by the batch;
      `recalibrate`: by the statistics of this task's own pictures, taken before the first step.
    frozen_through: up to and with this stage nothing is trained; None: everything is.
    batches: whose statistics `recalibrate` takes.

  Raises:
    ConfigError: a value that is none of these.
  """

  reasons = reasons.NAMES

  def __init__(self, sets: Sets, batch_norm: str, frozen_through: str | None, batches: int):
    for key, value, known in (("batch_norm", batch_norm, batch_norm_lib.MODES),
                              ("frozen_through", frozen_through, (None, *STAGES))):
      if value not in known:
        raise ConfigError("config-value", f"config.task.{key}", repr(value),
                          " or ".join(map(str, known)))
    self._sets, self._batches = sets, batches
    self._batch_norm, self._frozen_through = batch_norm, frozen_through
    self.explain, self.describe_dropped = sets.explain, sets.describe_dropped
    self.identity = sets.identity

  @property
  def card(self) -> dict[str, Any]:
    """What the run card says of this task."""
    return {"batch-norm": self._batch_norm, "frozen through": self._frozen_through or "nothing"}

  @property
  def _mode(self) -> str:
    """Of batch-norm in a training step."""
    return "train" if self._batch_norm == "train" else "frozen"

  def prepare(self, model: Any) -> str:
    """Takes the statistics of batch-norm from this task's pictures, where that is asked for."""
    if self._batch_norm != "recalibrate":
      return f"batch-norm: {self._batch_norm}"
    return self.recalibrate(model)

  def recalibrate(self, model: Any) -> str:
    """Takes the statistics of batch-norm from this task's pictures; says so."""
    layers = batch_norm_lib.recalibrate(
        lambda batch: self._seen(model, batch), self.train_dataset(START),
        self._batches)
    return (f"batch-norm: statistics of {layers} layers taken from {self._batches} batches of "
            f"{self._sets.train_split}, then frozen")

  def _seen(self, model: Any, batch: Any) -> Any:
    """Runs the model on a batch in batch-norm's mode `recalibrate`."""
    return model(batch["image"], batch_norm="recalibrate")

  def train_dataset(self, place: Place) -> tf.data.Dataset:
    """Endless training batches, see `Task.train_dataset`."""
    raise NotImplementedError

  def trainable(self, model: Any) -> dict[str, Any]:
    """Every trained variable, by path; those of frozen stages have no slots and no decay."""
    return trainable(model, self._frozen_through)

  def checkpoint_items(self, model: Any) -> dict[str, Any]:
    """Every variable by path, such as `backbone/<stage>/…`, statistics included."""
    return dict(named_variables(model))
