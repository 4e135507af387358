"""What a check of records finds: every kind is counted, and its first few are kept to be shown."""

from __future__ import annotations

import collections
from collections.abc import Iterator

from jft_reps import errors


class Findings:
  """Problems by reason, in the order in which the reasons first occurred.

  Args:
    most: findings of one reason that are kept; the rest are counted.

  Attributes:
    counts: findings by reason.
  """

  def __init__(self, most: int = 5):
    self.most = most
    self.counts: collections.Counter[str] = collections.Counter()
    self._kept: dict[str, list[str]] = {}

  def __len__(self) -> int:
    return self.counts.total()

  def add(self, reason: str, where: str, text: str) -> None:
    """Adds one.

    Args:
      reason: slug of the kind.
      where: file, record and picture.
      text: what was found, and what was expected.
    """
    self.counts[reason] += 1
    kept = self._kept.setdefault(reason, [])
    if len(kept) < self.most:
      kept.append(f"{reason}: {errors.printable(where, 1000)}: {errors.printable(text, 400)}")

  def add_error(self, error: errors.JftError) -> None:
    """Adds what an error says."""
    expected = f"; expected {error.expected}" if error.expected else ""
    self.add(error.slug, error.where, f"{error.found}{expected}")

  def merge(self, other: Findings) -> None:
    """Adds all of another one's."""
    self.counts += other.counts
    for reason, lines in other._kept.items():
      kept = self._kept.setdefault(reason, [])
      kept += lines[:self.most - len(kept)]

  def lines(self) -> Iterator[str]:
    """One line per finding, and one for those of a reason that were not kept."""
    for reason, kept in self._kept.items():
      yield from kept
      more = self.counts[reason] - len(kept)
      if more:
        yield f"{reason}: … and {more:,} more"
