"""Starting from weights, ours or others', with evidence that they were loaded."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jft_reps import whole_files
from jft_reps.errors import ConfigError, StorageError
from jft_reps.models.pretrained import matching
from jft_reps.models.pretrained.source import WeightSource
from jft_reps.models.variables import BACKBONE
from jft_reps.training.init_report import InitReport, Loaded
from jft_reps.training.state import TrainState


def from_source(state: TrainState, source: WeightSource, allow: Sequence[str] = (),
                report: pathlib.Path | None = None) -> InitReport:
  """Loads the backbone of a fresh state; all of it, or nothing.

  Args:
    state: its moving averages follow the loaded weights.
    source: of `recognise.open_source`.
    allow: regular expressions of names, ours or the file's, that may stay without a partner.
    report: where `init_report.json` goes.

  Raises:
    StorageError: lists both unmatched sides; nothing was loaded.
    ConfigError: a pattern is no regular expression.
  """
  allowed = _allowed(allow)
  # A source names the backbone's variables alone, a checkpoint all of a model's.
  items = {n.removeprefix(BACKBONE): item for n, item in state.items().items()
           if n.startswith(BACKBONE)}
  coverage = matching.coverage(source, items)
  # Patterns are of names as a checkpoint has them.
  matching.check(source, coverage, lambda name: allowed(name) or allowed(BACKBONE + name))
  # All is read and found finite before the first variable changes.
  values = {n: source.read(n) for n in items if n not in coverage.missing}
  _check_finite(source, values)
  norms = _assign(items, values)
  state.start_averages()
  variables = {BACKBONE + n: _loaded(source, coverage, n, norms.get(n)) for n in items}
  new = [n for n in state.of_model if not n.startswith(BACKBONE)]
  found = InitReport(source, _checksum(source.tensors.path), variables, new, coverage.extra)
  if report is not None:
    report.write_text(json.dumps(found.to_json(), indent=1))
  return found


def _allowed(patterns: Sequence[str]) -> Callable[[str], bool]:
  """Whether a name matches one of the patterns whole."""
  try:
    compiled = [re.compile(p) for p in patterns]
  except re.error as e:
    raise ConfigError("config-value", "config.init.allow", f"{e.pattern!r}: {e}",
                      "regular expressions") from e
  return lambda name: any(p.fullmatch(name) for p in compiled)


def _check_finite(source: WeightSource, values: Mapping[str, np.ndarray]) -> None:
  for name, value in values.items():
    if not np.isfinite(value).all():
      raise StorageError("weights-not-finite",
                         f"{source.tensors.path}: {source.origins[name].name}",
                         f"{int((~np.isfinite(value)).sum())} values are not finite", "numbers",
                         "Nothing was loaded.")


def _assign(variables: Mapping[str, Any], values: Mapping[str, np.ndarray]
            ) -> dict[str, tuple[float, float]]:
  """Gives variables their values; the norm of each before and after."""
  norms = {}
  for name, value in values.items():
    before = _norm(variables[name])
    variables[name].assign(value)
    # Read back, not taken from `value`: the report is evidence of what the servers hold.
    norms[name] = before, _norm(variables[name])
  return norms


def _loaded(source: WeightSource, coverage: matching.Coverage, name: str,
            norms: tuple[float, float] | None) -> Loaded:
  """What became of one variable of the backbone."""
  shape, found = coverage.shapes[name], source.shape(name)
  if norms is None:
    return Loaded("absent" if found is None else "shape differs", source.wanted(name), shape, found)
  return Loaded("loaded", source.wanted(name), shape, found, *norms)


def _norm(variable: Any) -> float:
  return float(np.linalg.norm(np.asarray(variable.read_value(), np.float64)))


def _checksum(path: pathlib.Path) -> str:
  """Of the file, or of a checkpoint's data files in order."""
  files = [path] if path.is_file() else sorted(path.parent.glob(f"{path.name}.data-*"))
  return whole_files.sha256(*files)
