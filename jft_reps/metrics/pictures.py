"""What a metric keeps of each picture, so that some can be left out without a second run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jft_reps.errors import ConfigError, DataError, printable
from jft_reps.metrics import score_batches


def unique_labels(labels: Sequence[str]) -> tuple[str, ...]:
  """The labels, each once.

  Raises:
    ConfigError: none, or one twice.
  """
  labels = tuple(labels)
  if not labels or len(set(labels)) < len(labels):
    twice = next((printable(x) for x in labels if labels.count(x) > 1), None)
    raise ConfigError("metric-labels", "labels", "none" if twice is None else f"{twice!r} twice",
                      "each class once")
  return labels


class Pictures:
  """What is kept of each picture, by id.

  Args:
    metric: its name, for errors.
  """

  def __init__(self, metric: str):
    self._metric = metric
    self._kept: dict[str, Any] = {}

  def __len__(self) -> int:
    return len(self._kept)

  def new(self, picture_id: Any) -> str:
    """The id as text.

    Raises:
      DataError: the picture was here before.
    """
    name = score_batches.text(picture_id)
    if name in self._kept:
      raise DataError("duplicate-picture", self._metric, f"picture {printable(name)!r} twice",
                      "each picture once", "Evaluate each record once, or make the ids unique.")
    return name

  def add(self, name: str, kept: Any) -> None:
    """Remembers `kept` for a name from `new`."""
    self._kept[name] = kept

  def without(self, exclude_ids: Iterable[Any] | None) -> list[Any]:
    """What was kept of the other pictures, by id (as numbers if all are), however they came.

    Raises:
      ConfigError: `exclude_ids` is a single string.
    """
    if isinstance(exclude_ids, (str, bytes)):
      raise ConfigError("exclude-ids", "exclude_ids", "one string", "a list of ids")
    excluded = {score_batches.text(i) for i in (() if exclude_ids is None else exclude_ids)}
    numbers = all(name.isascii() and name.isdecimal() for name in self._kept)
    names = sorted(self._kept.keys() - excluded, key=lambda n: (int(n) if numbers else 0, n))
    return [self._kept[name] for name in names]
