"""SIGTERM and SIGINT: a run that trains saves first, one that only waits ends at once."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class StopSignals:
  """Remembers the first SIGTERM or SIGINT; a second one ends the process at once."""

  def __init__(self) -> None:
    self.number: int | None = None
    self._waiting = False

  @property
  def exit(self) -> SystemExit:
    """The end of a process that was told to stop: 143 after SIGTERM, 130 after SIGINT."""
    return SystemExit(self.exit_code)

  @property
  def exit_code(self) -> int:
    """As shells count it: 128 and the signal's number."""
    return 128 + (self.number or 0)

  @contextlib.contextmanager
  def caught(self) -> Iterator[None]:
    """Handles both signals inside the block; in a thread other than the main one, neither."""
    self.number, previous = None, {}
    with contextlib.suppress(ValueError):  # not the main thread
      for number in (signal.SIGTERM, signal.SIGINT):
        previous[number] = signal.signal(number, self._handle)
    try:
      yield
    finally:
      for number, handler in previous.items():
        signal.signal(number, handler)

  @contextlib.contextmanager
  def at_once(self) -> Iterator[None]:
    """Nothing is lost inside the block: a signal leaves it with SystemExit, an earlier one too."""
    self._waiting = True
    try:
      if self.number is not None:
        raise self.exit
      yield
    finally:
      self._waiting = False

  def _handle(self, number: int, frame: object) -> None:
    if self.number is not None:
      signal.signal(number, signal.SIG_DFL)
      signal.raise_signal(number)
    self.number = number
    if self._waiting:
      raise self.exit
