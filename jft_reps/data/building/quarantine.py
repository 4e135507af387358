"""Pictures that a build leaves out: listed with their reason, counted, and limited."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable, Mapping

from jft_reps import errors, whole_files
from jft_reps.data.records import reasons
from jft_reps.data.sources import raw

_EARLY, _LATE = (100, 0.5), (10_000, 0.01)


class Quarantine:
  """The list of the pictures left out of one shard, which is there only when there are some.

  A context manager that writes it in the end, after an error too.

  Args:
    path: of the list, with lines of picture id, reason, and path or place in the annotation.

  Attributes:
    counts: pictures left out, by name of the reason.
  """

  def __init__(self, path: str):
    self.path = path
    self.counts: collections.Counter = collections.Counter()
    self._lines: list[str] = []

  def add(self, source: raw.Source, reason: int) -> None:
    """Lists a picture under a code of `reasons`."""
    self.counts[reasons.NAMES[reason]] += 1
    columns = source.picture_id, reasons.NAMES[reason], source.path or source.where
    self._lines.append("\t".join(errors.printable(column, 1000) for column in columns) + "\n")

  def __enter__(self) -> Quarantine:
    return self

  def __exit__(self, kind: object, error: object, trace: object) -> None:
    if self._lines:
      whole_files.write(self.path, "".join(self._lines))


def gather(paths: Iterable[str], path: str) -> str:
  """Joins lists in order to one at `path`; returns it, or an empty string: nothing is listed.

  A list that an earlier build left at `path` goes.
  """
  found = [one for one in paths if os.path.exists(one)]
  if not found:
    if os.path.exists(path):
      os.remove(path)
    return ""
  with whole_files.replacing(path, binary=True) as whole:
    for one in found:
      with open(one, "rb") as part:
        whole.write(part.read())
  return path


def text(counts: Mapping[str, int]) -> str:
  """Counts by reason."""
  return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def advice(path: str) -> str:
  """What to do about pictures that are listed in `path`."""
  return f"Mend or remove them; those seen so far are listed in {path}."


def check(counts: Mapping[str, int], seen: int, where: str, path: str) -> None:
  """Holds the limits on the share of pictures left out.

  Half of the first hundred, and later a hundredth; there, files that are missing do not count, as
  lists of old web addresses have many, and known placeholders never do.

  Args:
    counts: pictures left out, by name of the reason.
    seen: pictures in all.
    where: the last of them, for the text of the error.
    path: where they are listed in the end.

  Raises:
    errors.DataError: too many are left out.
  """
  known = counts.get(reasons.NAMES[reasons.PLACEHOLDER], 0)
  missing = counts.get(reasons.NAMES[reasons.MISSING_FILE], 0)
  lost = sum(counts.values()) - known
  for number, (after, fraction) in ((lost, _EARLY), (lost - missing, _LATE)):
    if seen >= after and number > fraction * seen:
      raise errors.DataError(
          "too-many-bad-pictures", where, f"{number} of {seen} pictures left out ({text(counts)})",
          f"at most {fraction:.0%} after {after}", advice(path))
