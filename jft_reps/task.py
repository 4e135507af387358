"""What everything hangs on: what is trained, how it is judged, and a place in the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
  import tensorflow as tf

Batch = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Place:
  """Where in the data a worker reads: whose share, in which order, and from which record on.

  Each value may be an int64 tensor: under parameter servers one graph builds the dataset of every
  worker, and which worker it is and where it goes on are known only when that graph runs there.

  Attributes:
    worker: index of the worker, `0 <= worker < workers`.
    workers: how many share the data.
    seed: of order and augmentation.
    position: (epoch, shard in this worker's order, record) of the first record to give, so that of
      the last example used, whose `position` already says the next one; `[3]` as a tensor.
  """

  worker: int | tf.Tensor = 0
  workers: int | tf.Tensor = 1
  seed: int | tf.Tensor = 0
  position: tuple[int, int, int] | tf.Tensor = (0, 0, 0)


START = Place()  # of all the data, for one reader


class Task(Protocol):
  """Data, model and loss of one problem. The trainer knows nothing else about it.

  A batch is a dict of tensors. It carries `id` (string, `[batch]`), so that results can be
  restricted later without a second run, `position` (int64 `[batch, 3]`: epoch, shard in this
  worker's order, record) and `dropped` (int64 `[batch, reasons]`, records skipped since the
  previous example, by `data.records.reasons`), which the trainer counts. It may carry
  `quarantined` (int64 `[batch, 4]`: reason, epoch, shard and record of the last of those, or
  -1s), which it lists.

  It may have `card`, values by name for the run card, and `prepare(model)`, called once with a
  fresh model after it was initialised and before the first checkpoint, which returns a sentence
  that says what it did. `identity(split)`, JSON, is what an evaluation notes of its pictures.

  Attributes:
    best: name of the number that says which checkpoint is the best.
  """

  best: str

  def build(self) -> Any:
    """Creates the model with all of its variables."""

  def train_dataset(self, place: Place) -> Any:
    """An endless `tf.data.Dataset` of batches: graph ops only, a function of the place alone."""

  def loss(self, model: Any, batch: Batch) -> tuple[Any, dict[str, Any]]:
    """Scalar float32 loss of a batch, and scalars to plot, keyed by TensorBoard name."""

  def trainable(self, model: Any) -> dict[str, Any]:
    """The variables to train, keyed by their path in the checkpoint."""

  def checkpoint_items(self, model: Any) -> dict[str, Any]:
    """Everything of the model to save, keyed by path: variables and `ShardedVariable`s."""

  def evaluators(self) -> Sequence[Evaluator]:
    """How this task is judged."""

  def explain(self, error: BaseException, split: str | None = None) -> Exception | None:
    """What an error of the input means in the user's words, or None where it says enough.

    Args:
      error: of TensorFlow.
      split: name of the evaluator that was reading; None: it was the training data.
    """

  def describe_dropped(self, rows: Any) -> Sequence[str]:
    """Where dropped records lie, one text per row; a task that drops nothing may leave it out.

    Args:
      rows: of the batch's `quarantined`, int64 `[n, 4]`: reason, epoch, shard, record.
    """

  def pictures(self, model: Any, batch: Batch) -> dict[str, Any]:
    """Pictures for TensorBoard, uint8 `[n, height, width, 3]`, truth left, prediction right."""


class Evaluator(Protocol):
  """One way to judge a model on one evaluation set.

  It may have `guess`, which says what guessing is, and `chance(exclude_ids)`: what that gives, by
  the names of `result`. Of one that names classes, `mistakes(most)` are those it is surest of.
  """

  name: str

  def dataset(self) -> Any:
    """A finite dataset of batches with `id`."""

  def predict(self, model: Any, batch: Batch) -> Any:
    """Predictions for a batch, as tensors whose first axis is the batch."""

  def update(self, ids: Sequence[str], predictions: Any, truth: Any) -> None:
    """Takes one batch's predictions and truth as NumPy arrays."""

  def result(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """Numbers by TensorBoard name, leaving out pictures by id."""
