"""TensorBoard scalars and pictures; a full disk costs the curve, never the run."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from absl import logging

_WARN_EVERY = 3600.0  # seconds


class Events:
  """One folder of event files.

  Args:
    directory: `train/` or `eval_<set>/` of a run.
  """

  def __init__(self, directory: pathlib.Path):
    self._writer: tf.summary.SummaryWriter | None = None
    self._directory = directory
    self._warned = -_WARN_EVERY

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Writes scalars by name at a global step."""
    def write():
      for name, value in values.items():
        tf.summary.scalar(name, value, step=step)

    self._write(write)

  def pictures(self, step: int, values: Mapping[str, Any]) -> None:
    """Writes uint8 pictures `[n, height, width, 3]` by name."""
    def write():
      for name, value in values.items():
        tf.summary.image(name, value, step=step, max_outputs=16)

    self._write(write)

  def text(self, step: int, name: str, value: str) -> None:
    """Writes a text card."""
    self._write(lambda: tf.summary.text(name, value, step=step))

  def _write(self, write) -> None:
    try:
      if self._writer is None:
        self._writer = tf.summary.create_file_writer(str(self._directory))
      with self._writer.as_default():
        write()
      self._writer.flush()
    except (tf.errors.OpError, OSError) as e:
      if time.monotonic() - self._warned > _WARN_EVERY:
        self._warned = time.monotonic()
        logging.warning("%s: summaries not written: %s", self._directory, str(e)[:200])
