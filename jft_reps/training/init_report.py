"""What an initialisation did: `init_report.json`, and one screen of text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from jft_reps.errors import printable
from jft_reps.models.pretrained import matching
from jft_reps.models.pretrained.source import WeightSource
from jft_reps.models.variables import BACKBONE


@dataclasses.dataclass(frozen=True)
class Loaded:
  """What became of one variable.

  Attributes:
    status: `loaded`, `absent` or `shape differs`.
    origin: name of the tensor in the file.
    shape: ours.
    found: the file's, in our layout; None where it is absent.
    before, after: norms of the variable.
  """

  status: str
  origin: str
  shape: tuple[int, ...]
  found: tuple[int, ...] | None
  before: float | None = None
  after: float | None = None

  @property
  def parameters(self) -> int:
    return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class InitReport:
  """Of a whole initialisation.

  Attributes:
    source: the weights.
    sha256: of their file, or of a checkpoint's data files in order.
    variables: of the backbone, by path.
    new: paths of the model's other variables, which stay random.
    extra: tensors of the file that nothing took.
  """

  source: WeightSource
  sha256: str
  variables: Mapping[str, Loaded]
  new: Sequence[str]
  extra: Sequence[str]

  @property
  def share(self) -> float:
    """Of the backbone's parameters, how many were loaded."""
    every = sum(v.parameters for v in self.variables.values())
    return sum(v.parameters for v in self.variables.values() if v.status == "loaded") / every

  def to_json(self) -> dict[str, Any]:
    return {
        "source": str(self.source.tensors.path), "format": self.source.format,
        "sha256": self.sha256, "network": dict(self.source.network),
        "preprocessing": self.source.preprocessing.to_json(), "share": self.share,
        "variables": {n: dataclasses.asdict(v) for n, v in self.variables.items()},
        "new": list(self.new), "extra": list(self.extra)}

  def text(self) -> str:
    """Where from, how much, and the norms of each stage before and after."""
    source, loaded = self.source, [v for v in self.variables.values() if v.status == "loaded"]
    network = ", ".join(f"{k} {v}" for k, v in source.network.items())
    pixels, parameters = source.preprocessing, sum(v.parameters for v in self.variables.values())
    lines = [
        f"initialised from {source.tensors.path}",
        f"  format    {source.format}, sha256 {self.sha256[:16]}…",
        f"  network   {network or 'as configured'}",
        f"  pixels    {pixels.channels}, less {_numbers(pixels.mean)}, over {_numbers(pixels.std)}",
        f"  loaded    {len(loaded)} of {len(self.variables)} variables, "
        f"{matching.percent(self.share)} of {parameters:,} backbone parameters",
        f"  {'stage':8}  {'parameters':>12}  {'norm before':>12}  {'after':>12}"]
    for stage in sorted({_stage(name) for name in self.variables}):
      inside = [v for n, v in self.variables.items()
                if _stage(n) == stage and v.status == "loaded"]
      before, after = (math.hypot(*(getattr(v, w) for v in inside), 0.0)
                       for w in ("before", "after"))
      lines.append(f"  {stage:8}  {sum(v.parameters for v in inside):12,}  {before:12.3f}  "
                   f"{after:12.3f}")
    lines += _listed("not loaded", [f"{n} ({v.status})" for n, v in self.variables.items()
                                    if v.status != "loaded"])
    lines += _listed("new", self.new) + _listed("only in the file", self.extra)
    return "\n".join(lines)


def _numbers(values: Sequence[float]) -> str:
  return "/".join(f"{v:.4g}" for v in values)


def _stage(name: str) -> str:
  return name.removeprefix(BACKBONE).partition("/")[0]


def _listed(what: str, names: Sequence[str], most: int = 5) -> list[str]:
  if not names:
    return []
  more = f" and {len(names) - most} more" if len(names) > most else ""
  return [f"  {what}: {', '.join(printable(n) for n in names[:most])}{more}"]
