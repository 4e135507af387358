"""When a run's checkpoints are written, and what a write that fails costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from absl import logging

from jft_reps.errors import NumericError, StorageError
from jft_reps.training.options import TrainerOptions
from jft_reps.training.run_directory import directory
from jft_reps.training.run_directory.checkpoints import clean_up, committed, milestones
from jft_reps.training.state import TrainState

_FAILURES = 3  # in a row that end a run


class Saver:
  """Writes the checkpoints of one run.

  Args:
    run: where to.
    options: how often, and what is kept.
    about: goes into each marker.
    notes: JSON values stored in every checkpoint.
    stopping: whether the run is about to end, so that this checkpoint is its last.
  """

  def __init__(self, run: directory.RunDirectory, options: TrainerOptions,
               about: Mapping[str, Any], notes: Mapping[str, Any], stopping: Callable[[], bool]):
    self._path, self._options = run.path, options
    self._about, self._notes, self._stopping = dict(about), dict(notes), stopping
    self._failed = 0

  def boundary(self, step: int) -> int:
    """The next step at which to stop and save."""
    every = self._options.checkpoint_every
    candidates = [(step // every + 1) * every, self._options.steps,
                  *(m for m in self._options.keep_steps if m > step)]
    return min(candidates)

  def first(self, state: TrainState) -> None:
    """Commits the checkpoint before the first push: a disk that is full already ends the run."""
    state.save(self._path, self._about, self._notes)

  def save(self, state: TrainState) -> None:
    """Commits a checkpoint; a full disk costs it, and three in a row or the last one the run.

    Raises:
      NumericError: a value is not finite.
      StorageError: it could not be written, and that cannot be borne.
    """
    step = int(state.step.numpy())
    if step in committed(self._path):
      return
    try:
      state.save(self._path, self._about, self._notes)
      self._failed = 0
    except StorageError as e:
      if e.slug == "checkpoint-not-finite":
        raise NumericError(e.slug, e.where, e.found, e.expected, e.fix) from e
      self._failed += 1
      logging.error("%s", e)
      if self._stopping() or step >= self._options.steps or self._failed >= _FAILURES:
        raise
    clean_up(self._path, self._options.keep,
             milestones(committed(self._path), self._options.keep_steps))
