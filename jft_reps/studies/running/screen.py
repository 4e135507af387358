"""The screen of a running study: redrawn on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import os
import time
from typing import IO

from jft_reps.studies.running.progress import Progress


class Screen:
  """Shows progress.

  Args:
    stream: where to.
    every: seconds between plain lines.
  """

  def __init__(self, stream: IO[str], every: float = 30.0):
    self._stream, self._every = stream, every
    self._height, self._last = 0, -float("inf")

  def __call__(self, state: Progress, final: bool = False) -> None:
    """Shows a state; the final one as a whole."""
    terminal, now = self._stream.isatty(), time.monotonic()
    if not final and now - self._last < (0.5 if terminal else self._every):
      return
    self._last = now
    lines = state.lines() if terminal or final else [state.counts()]
    if terminal:
      columns, rows = _size(self._stream)
      lines = [line[:columns - 1] for line in lines]
      lines = lines if final else lines[-max(1, rows - 1):]
    # Up by as many lines as were drawn, and all below is wiped.
    clear = f"\x1b[{self._height}F\x1b[J" if terminal and self._height else ""
    self._stream.write(clear + "".join(f"{line}\n" for line in lines))
    self._stream.flush()
    self._height = len(lines)


def _size(stream: IO[str]) -> tuple[int, int]:
  """Columns and lines of a terminal."""
  try:
    columns, lines = os.get_terminal_size(stream.fileno())
    return columns, lines
  except (OSError, ValueError):
    return 80, 24
