"""Starting from weights, ours or others', with evidence that they were loaded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jft_reps.errors import ConfigError, StorageError, printable
from jft_reps.models.pretrained import loading
from jft_reps.models.pretrained.source import Source
from jft_reps.training.state import TrainState

BACKBONE = "backbone/"
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
class Report:
  """What an initialisation did: `init_report.json`, and one screen of text."""

  source: Source
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
        f"{loading.percent(self.share)} of {parameters:,} backbone parameters",
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


def from_source(state: TrainState, source: Source, allow: Sequence[str] = (),
                report: pathlib.Path | None = None) -> Report:
  """Loads the backbone of a fresh state; all of it, or nothing.

  Args:
    state: its moving averages follow the loaded weights.
    source: of `open_source`.
    allow: regular expressions of names, ours or the file's, that may stay without a partner.
    report: where `init_report.json` goes.

  Raises:
    StorageError: lists both unmatched sides; nothing was loaded.
    ConfigError: a pattern is no regular expression.
  """
  allowed = _allowed(allow)
  items = {n: item for n, item in state.items().items() if n.startswith(BACKBONE)}
  coverage = loading.coverage(source, {n.removeprefix(BACKBONE): v for n, v in items.items()})
  # Patterns are of names as a checkpoint has them.
  loading.check(source, coverage, lambda name: allowed(name) or allowed(BACKBONE + name))
  variables = {n: _match(source, coverage, n) for n in items}
  values = {n: source.read(n.removeprefix(BACKBONE))
            for n, v in variables.items() if v.status == "loaded"}
  _check_finite(source, values)
  for name, value in values.items():
    before = _norm(items[name])
    items[name].assign(value)
    variables[name] = dataclasses.replace(
        variables[name], before=before, after=_norm(items[name]))
  state.start_averages()
  new = [n for n in state.of_model if not n.startswith(BACKBONE)]
  found = Report(source, _checksum(source.tensors.path), variables, new, coverage.extra)
  if report is not None:
    report.write_text(json.dumps(found.to_json(), indent=1))
  return found


def _allowed(patterns: Sequence[str]):
  """Whether a name matches one of the patterns whole."""
  try:
    compiled = [re.compile(p) for p in patterns]
  except re.error as e:
    raise ConfigError("config-value", "config.init.allow", f"{e.pattern!r}: {e}",
                      "regular expressions") from e
  return lambda name: any(p.fullmatch(name) for p in compiled)


def _match(source: Source, coverage: loading.Coverage, name: str) -> Loaded:
  ours = name.removeprefix(BACKBONE)
  found = source.shape(ours)
  status = "absent" if found is None else "shape differs" if ours in coverage.missing else "loaded"
  return Loaded(status, source.wanted(ours), coverage.shapes[ours], found)


def _check_finite(source: Source, values: Mapping[str, np.ndarray]) -> None:
  for name, value in values.items():
    if not np.isfinite(value).all():
      raise StorageError("weights-not-finite",
                         f"{source.tensors.path}: {source.origins[name[len(BACKBONE):]].name}",
                         f"{int((~np.isfinite(value)).sum())} values are not finite", "numbers",
                         "Nothing was loaded.")


def _norm(variable: Any) -> float:
  return float(np.linalg.norm(np.asarray(variable.read_value(), np.float64)))


def _numbers(values: Sequence[float]) -> str:
  return "/".join(f"{v:.4g}" for v in values)


def _stage(name: str) -> str:
  return name.removeprefix(BACKBONE).partition("/")[0]


def _listed(what: str, names: Sequence[str], most: int = 5) -> list[str]:
  if not names:
    return []
  more = f" and {len(names) - most} more" if len(names) > most else ""
  return [f"  {what}: {', '.join(printable(n) for n in names[:most])}{more}"]


def _checksum(path: pathlib.Path) -> str:
  """Of the file, or of a checkpoint's data files in order."""
  files = [path] if path.is_file() else sorted(path.parent.glob(f"{path.name}.data-*"))
  digest = hashlib.sha256()
  for file in files:
    with open(file, "rb") as f:
      while block := f.read(1 << 20):
        digest.update(block)
  return digest.hexdigest()
