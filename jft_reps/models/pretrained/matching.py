"""What of a weight file fits a network, by names and shapes, and what either has over."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from jft_reps.errors import StorageError, printable
from jft_reps.models.pretrained.source import WeightSource
from jft_reps.models.variables import BACKBONE


def percent(share: float) -> str:
  """A share with two decimals; a part of the whole is never rounded up to 100.00%."""
  return f"{share if share >= 1 else min(share, 0.9999):.2%}"


@dataclasses.dataclass(frozen=True)
class Coverage:
  """How much of a network a file holds.

  Attributes:
    shapes: of our variables by path.
    missing: those without a partner: the file's name and shape by our path; the shape is None
      where the tensor is absent.
    extra: tensors of the file that no variable takes.
  """

  shapes: Mapping[str, tuple[int, ...]]
  missing: Mapping[str, tuple[str, tuple[int, ...] | None]]
  extra: tuple[str, ...]

  @property
  def parameters(self) -> int:
    """Numbers in all of our variables."""
    return sum(map(math.prod, self.shapes.values()))

  @property
  def share(self) -> float:
    """Of our parameters, how many the file holds."""
    return 1.0 - sum(math.prod(self.shapes[n]) for n in self.missing) / self.parameters

  @property
  def whole(self) -> bool:
    return not self.missing and not self.extra

  def absent(self) -> list[str]:
    """A line for every variable of ours without a partner, named as in a checkpoint."""
    lines = []
    for name, (theirs, shape) in self.missing.items():
      found = f"{shape} instead of {self.shapes[name]}" if shape else "absent"
      named = BACKBONE + name + (f" = {printable(theirs)}" if theirs else "")
      lines.append(f"{named} {found}")
    return lines

  def unmatched(self) -> list[str]:
    """A line for every name without a partner: ours, then the file's."""
    return self.absent() + [f"{printable(name)} in the file only" for name in self.extra]


def coverage(source: WeightSource, variables: Mapping[str, Any]) -> Coverage:
  """Compares names and shapes of a backbone's variables by path; reads no values."""
  shapes = {name: tuple(v.shape) for name, v in variables.items()}
  missing = {name: (source.wanted(name), source.shape(name)) for name, shape in shapes.items()
             if source.shape(name) != shape}
  return Coverage(shapes, missing, tuple(source.extra(shapes)))


def check(source: WeightSource, found: Coverage,
          allowed: Callable[[str], bool] = lambda name: False) -> None:
  """Refuses a file that is not the whole network and nothing else.

  Args:
    source: of `recognise.open_source`.
    found: of `coverage`.
    allowed: whether a name, ours or the file's, may stay without a partner.

  Raises:
    StorageError: counts and names what has no partner on either side.
  """
  missing = {name: theirs for name, theirs in found.missing.items() if not allowed(name)}
  left = Coverage(found.shapes, missing, tuple(n for n in found.extra if not allowed(n)))
  if left.whole and found.shapes:
    return
  extra = ", ".join(map(printable, left.extra[:5])) or "none"
  raise StorageError(
      "partial-weights", source.tensors.path,
      f"{len(missing)} of {len(found.shapes)} backbone variables without a partner "
      f"({'; '.join(left.absent()[:5]) or 'none'}), {len(left.extra)} in the file only ({extra})",
      "all of the backbone",
      "Nothing was loaded. Is it the network of the configuration? What may differ can be named "
      "in config.init.allow.")
