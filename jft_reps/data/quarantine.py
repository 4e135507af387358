"""Pictures that a build leaves out: listed with their reason, counted, and limited."""

from __future__ import annotations

import collections
import os
from typing import TextIO

from jft_reps import errors
from jft_reps.data import reasons
from jft_reps.data.sources import raw

_EARLY, _LATE = (100, 0.5), (10_000, 0.01)


class Quarantine:
  """The list of pictures left out, which appears under its name only when there are some.

  A context manager that gives the file its name, after an error too. A list of an earlier build
  goes when this one succeeds or has its own.

  Args:
    path: of the list, with lines of picture id, tab and reason.

  Attributes:
    counts: pictures left out, by name of the reason.
  """

  def __init__(self, path: str):
    self.path, self._file = path, None
    self.counts: collections.Counter = collections.Counter()

  def add(self, source: raw.Source, reason: int) -> None:
    """Lists a picture under a code of `reasons`."""
    file: TextIO = self._file or open(self._temporary, "w", encoding="utf-8")
    self._file = file
    self.counts[reasons.NAMES[reason]] += 1
    file.write(f"{errors.printable(source.picture_id, 1000)}\t{reasons.NAMES[reason]}\n")

  @property
  def _temporary(self) -> str:
    return f"{self.path}.tmp-{os.getpid()}"

  @property
  def written(self) -> str:
    """Its path, or an empty string where nothing is in it."""
    return self.path if self.counts else ""

  def __enter__(self) -> Quarantine:
    return self

  def __exit__(self, kind, error, trace) -> None:
    if self._file is not None:
      self._file.close()
      os.replace(self._temporary, self.path)
    elif kind is None and os.path.exists(self.path):
      os.remove(self.path)

  def check(self, seen: int, where: str) -> None:
    """Holds the limits on the share of pictures left out.

    Raises:
      errors.DataError: too many of the `seen` ones are in the list.
    """
    lost = sum(self.counts.values())
    for after, fraction in (_EARLY, _LATE):
      if seen >= after and lost > fraction * seen:
        raise errors.DataError(
            "too-many-bad-pictures", where, f"{lost} of {seen} pictures left out ({self.text})",
            f"at most {fraction:.0%} after {after}", self.advice)

  @property
  def text(self) -> str:
    """Counts by reason."""
    return ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))

  @property
  def advice(self) -> str:
    """What to do about what is in it."""
    return f"Mend or remove them; those seen so far are listed in {self.path}."
