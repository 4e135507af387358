"""A progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm


class _Bar(tqdm):
  """Without tqdm's thread and its lock between processes: builds fork while a bar is shown."""

  monitor_interval = 0


_Bar.set_lock(threading.RLock())


class _Lines:
  """Makes lines of what tqdm draws over and over in one, for files."""

  def __init__(self, stream: TextIO):
    self._stream = stream
    self.flush = stream.flush

  def write(self, text: str) -> None:
    line = text.strip()  # of the carriage return before it, and of blanks over what was longer
    if line:
      self._stream.write(line + "\n")


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
    self._bar: _Bar | None = None

  def __call__(self, done: int, note: str = "") -> None:
    """Reports; cheap to call often. Speed is since the first call, which may start anywhere."""
    if self._bar is None:
      self._bar = self._started(done)
    bar = self._bar
    if bar.total is not None and done > bar.total:  # asynchronous workers may pass the last step
      bar.total = done
    bar.set_postfix_str(note, refresh=False)
    bar.update(done - bar.n)

  def _started(self, done: int) -> _Bar:
    known = "{n:,}/{total:,} {desc}  {rate_noinv_fmt}  {remaining} left{postfix}"
    if self._total is None:
      known = "{n:,} {desc}  {rate_noinv_fmt}{postfix}"
    elif self._terminal:
      known = "[{bar:20}] " + known
    # With a delay nothing is drawn of what is done at once; miniters=1 asks the clock each time.
    return _Bar(total=self._total, initial=done, desc=self._what, unit="", bar_format=known,
                file=self._stream if self._terminal else _Lines(self._stream),
                mininterval=self._every, delay=self._every, miniters=1,
                dynamic_ncols=self._terminal)

  def close(self) -> None:
    """Ends the line; how it ended is shown where it was shown before, or the total is known."""
    if self._bar is not None:
      if self._total is not None:
        self._bar.delay = 0
      self._bar.close()


def counter(what: str) -> Callable[[int, int], None]:
  """A callback (done, total) for work whose size shows only once it runs, one bar per size."""
  bars: dict[int, Progress] = {}

  def report(done: int, total: int) -> None:
    bar = bars.setdefault(total, Progress(total, what))
    bar(done)
    if done >= total:
      bars.pop(total).close()

  return report
