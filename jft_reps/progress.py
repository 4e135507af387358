"""A progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO


class Progress:
  """Says how far something is, how fast, and how long it will take.

  Args:
    total: of what is counted; None: nobody knows.
    what: its name, e.g. `steps`.
    stream: where to; standard error by default.
    every: seconds between plain lines.
  """

  def __init__(self, total: int | None, what: str, stream: TextIO | None = None,
               every: float = 15.0):
    self._total, self._what = total, what
    self._stream = sys.stderr if stream is None else stream
    self._terminal = self._stream.isatty()
    self._every = 0.2 if self._terminal else every
    self._start = self._last = time.monotonic()
    self._first: int | None = None
    self._open = False

  def __call__(self, done: int, note: str = "") -> None:
    """Reports; cheap to call often."""
    now = time.monotonic()
    if self._first is None:
      self._first = done
    if now - self._last < self._every and (self._total is None or done < self._total):
      return
    self._last = now
    rate = (done - self._first) / max(now - self._start, 1e-9)
    if self._total is None:
      self._show(f"{done:,} {self._what}  {rate:.1f}/s  {note}".rstrip())
      return
    left = f"{(self._total - done) / rate:.0f} s left" if rate > 0 else "…"
    text = f"{done:,}/{self._total:,} {self._what}  {rate:.1f}/s  {left}  {note}".rstrip()
    filled = 20 * min(done, self._total) // max(self._total, 1)
    self._show(text, f"[{'█' * filled}{'·' * (20 - filled)}] ")

  def _show(self, text: str, bar: str = "") -> None:
    if self._terminal:
      self._stream.write(f"\r\x1b[K{bar}{text}")
      self._open = True
    else:
      self._stream.write(text + "\n")
    self._stream.flush()

  def close(self) -> None:
    """Ends the line."""
    if self._open:
      self._stream.write("\n")
      self._stream.flush()
      self._open = False


def counter(what: str) -> Callable[[int, int], None]:
  """A callback (done, total) for work whose size shows only once it runs, one bar per size."""
  bars: dict[int, Progress] = {}

  def report(done: int, total: int) -> None:
    bar = bars.setdefault(total, Progress(total, what))
    bar(done)
    if done >= total:
      bar.close()

  return report
