"""The pictures whose mistake a classifier is surest of: where the label may be what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jft_reps.metrics.mistakes import tables


class Mistake(NamedTuple):
  """A picture with a class that its label does not name.

  Attributes:
    id: of the picture.
    truth: what it is labelled with.
    predicted: the class.
    confidence: probability that the classifier gives it.
  """

  id: str
  truth: str
  predicted: str
  confidence: float


def surest(mistakes: Iterable[Mistake], most: int) -> list[Mistake]:
  """Those of the highest confidence, falling; equal ones by id."""
  return sorted(mistakes, key=lambda m: (-m.confidence, m.id))[:most]


def csv_text(mistakes: Sequence[Mistake]) -> str:
  """`id,truth,predicted,confidence`, a row per picture."""
  return tables.csv_text(Mistake._fields, [
      (*mistake[:3], f"{mistake.confidence:.4f}") for mistake in mistakes])
