"""Everything a run carries from step to step, by its name in the checkpoint."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from jft_reps.models.variables import Slices
from jft_reps.task import Task
from jft_reps.training.optimizers import Optimizer
from jft_reps.training.run_directory import checkpoints
from jft_reps.training.run_directory import notes as notes_lib


def variables_of(item: Any) -> tuple[Any, ...]:
  """The variables of a checkpoint item: itself, or the parts of `Slices`."""
  return tuple(item.parts) if isinstance(item, Slices) else (item,)


@dataclasses.dataclass(frozen=True)
class Trained:
  """A variable that is trained, with its slots and, where wanted, its moving average."""

  path: str
  variable: Any
  slots: Mapping[str, Any]
  average: Any | None

  @property
  def decayed(self) -> bool:
    """Weight decay is for convolution and dense kernels (section 4.1)."""
    return self.path.rpartition("/")[2] == "kernel"


class TrainState:
  """Model, slots, averages and counters, created under a strategy's scope.

  Args:
    task: builds the model and names its variables.
    optimizer: says which slots there are.
    workers: how many count their data positions.
    reasons: how many reasons for dropping records are counted.
    average: whether a moving average of the trained weights is kept.
    strategy: under whose scope to create; slots stand beside their variables.
    model: built already by `task.build()`, or None to build it now.

  Attributes:
    of_model: names of the items that are the model's own.
  """

  def __init__(self, task: Task, optimizer: Optimizer, workers: int, reasons: int,
               average: bool, strategy: tf.distribute.Strategy, model: Any = None):
    with strategy.scope():
      self.model = task.build() if model is None else model
      self.step = _counter((), "step")
      self.skipped = _counter((), "skipped")
      self.images = _counter((), "images_seen")
      self.dropped = _counter((reasons,), "dropped")
      self.position = _counter((workers, 3), "position")
    self.trained: list[Trained] = []
    self._items: dict[str, Any] = dict(task.checkpoint_items(self.model))
    self.of_model = tuple(self._items)
    for path, item in task.trainable(self.model).items():
      trained = [
          self._train(path, v, optimizer, average, strategy) for v in variables_of(item)]
      self.trained += trained
      for slot in optimizer.slots():
        self._items[f"slots/{slot}/{path}"] = _like(item, [t.slots[slot] for t in trained])
      if average:
        self._items[f"ema/{path}"] = _like(item, [t.average for t in trained])

  def _train(self, path, variable, optimizer, average, strategy) -> Trained:
    with strategy.scope(), strategy.extended.colocate_vars_with(variable):
      slots = {
          name: tf.Variable(tf.fill(variable.shape, tf.constant(start, variable.dtype)),
                            trainable=False, name=f"slots/{name}")
          for name, start in optimizer.slots().items()}
      start = tf.identity(variable.read_value()) if average else None
      shadow = tf.Variable(start, trainable=False, name="ema") if average else None
    return Trained(path, variable, slots, shadow)

  def items(self) -> dict[str, Any]:
    """Every variable to save, by name."""
    return {
        **self._items, "step": self.step, "skipped": self.skipped,
        "images_seen": self.images, "dropped": self.dropped, "position": self.position}

  def start_averages(self) -> None:
    """Starts the moving averages at the weights as they are now."""
    for trained in self.trained:
      if trained.average is not None:
        trained.average.assign(trained.variable.read_value())

  def save(self, directory, about: Mapping, notes: Mapping[str, Any]) -> int:
    """Writes and commits a checkpoint of the current step; returns the step.

    `notes` (preprocessing, labels) are stored as JSON strings beside the tensors.
    """
    step = int(self.step.numpy())
    strings = {name: tf.constant(json.dumps(value)) for name, value in notes.items()}
    checkpoints.save(directory, step, {**self.items(), **strings}, about)
    return step

  def restore(self, path, notes: Mapping[str, Any]) -> None:
    """Restores everything, strictly; data positions only for the same number of workers.

    Raises:
      StorageError: lists what does not match, labels of other classes included.
    """
    found = checkpoints.shapes(path)
    notes_lib.check(path, notes)
    items = self.items()
    same_workers = found.get("position") == tuple(self.position.shape)
    if not same_workers:
      del items["position"]
    allowed = "|".join([*notes, *([] if same_workers else ["position"])]) or "(?!)"
    checkpoints.restore(path, items, only_in_checkpoint=allowed)
    if not same_workers:
      # Other workers share the epoch out anew: go on with the epoch after the furthest one begun.
      epoch = int(checkpoints.read(path, ["position"])["position"][:, 0].max()) + 1
      self.position.assign(tf.constant([[epoch, 0, 0]] * self.position.shape[0], tf.int64))


def _counter(shape: tuple[int, ...], name: str) -> tf.Variable:
  return tf.Variable(tf.zeros(shape, tf.int64), trainable=False, name=name,
                     aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)


def _like(item: Any, variables: list[Any]) -> Any:
  if isinstance(item, Slices):
    return dataclasses.replace(item, parts=tuple(variables))
  return variables[0]


def components(strategy: tf.distribute.Strategy, value: Any) -> Iterator[Any]:
  """A value of each replica, or each replica's copy of a variable."""
  return iter(strategy.experimental_local_results(value))
