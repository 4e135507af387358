"""Starting from another run's weights, with evidence that they were loaded."""

from __future__ import annotations

import hashlib
import json
import math
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jft_reps.errors import StorageError
from jft_reps.training import checkpoints
from jft_reps.training.state import TrainState, variables_of


def find(source: str | pathlib.Path) -> pathlib.Path:
  """The checkpoint that a path means: itself, or the newest committed one of a run directory.

  Raises:
    StorageError: there is none.
  """
  source = pathlib.Path(source)
  if source.is_dir():
    steps = checkpoints.committed(source)
    if steps:
      checkpoints.verify(source, steps[-1])
      return checkpoints.prefix(source, steps[-1])
  elif pathlib.Path(f"{source}.index").exists():
    return source
  raise StorageError("no-checkpoint", source, "no checkpoint of ours",
                     "a run directory, or a checkpoint's path without ending")


def from_checkpoint(
    state: TrainState, source: str | pathlib.Path, prefix: str = "backbone/",
    allow_missing: Sequence[str] = (), report: pathlib.Path | None = None) -> str:
  """Loads the part of a model below `prefix` from a checkpoint of ours and says what happened.

  Args:
    state: a fresh state; its moving averages follow the loaded weights.
    source: a run directory or checkpoint.
    prefix: which variables to load.
    allow_missing: regular expressions of names that need not be found.
    report: where `init_report.json` goes.

  Returns:
    One sentence with the source and the share of parameters loaded.

  Raises:
    StorageError: lists both unmatched sides; nothing was loaded.
  """
  path = find(source)
  found = checkpoints.shapes(path)
  wanted = {n: item for n, item in state.items().items() if n.startswith(prefix)}
  shapes = {p.name: p.full_shape for p in checkpoints.parts(wanted)}
  status = {n: "loaded" if found.get(n) == s else "absent" if n not in found else "shape differs"
            for n, s in shapes.items()}
  extra = sorted(n for n in found if n.startswith(prefix) and n not in shapes)
  bad = [n for n, s in status.items()
         if s != "loaded" and not any(re.fullmatch(p, n) for p in allow_missing)]
  if bad or not shapes:
    raise StorageError(
        "partial-init", path, f"{len(bad)} of {len(shapes)} variables under {prefix!r} not loaded "
        f"({', '.join(f'{n}: {status[n]}' for n in bad[:5])}); only in the checkpoint: "
        f"{', '.join(extra[:5]) or 'none'}", "all of them", "Nothing was loaded.")
  loaded = {n: item for n, item in wanted.items() if status[n] == "loaded"}
  before = {n: _norm(item) for n, item in loaded.items()}
  checkpoints.restore(path, loaded, only_in_checkpoint=".*")
  for trained in state.trained:
    if trained.average is not None:
      trained.average.assign(trained.variable.read_value())
  size = {n: math.prod(s) for n, s in shapes.items()}
  share = sum(size[n] for n in loaded) / sum(size.values())
  if report is not None:
    report.write_text(json.dumps({
        "source": str(path), "sha256": _checksum(path), "share": share, "extra": extra,
        "variables": {n: {"status": s, "norm_before": before.get(n),
                          "norm_after": _norm(wanted[n])} for n, s in status.items()},
    }, indent=1))
  return f"initialised {len(loaded)} variables, {share:.1%} of {prefix!r}, from {path}"


def _norm(item: Any) -> float:
  return float(np.sqrt(sum(
      np.square(np.asarray(v, np.float64)).sum() for v in variables_of(item))))


def _checksum(path: pathlib.Path) -> str:
  digest = hashlib.sha256()
  for file in sorted(path.parent.glob(f"{path.name}.data-*")):
    with open(file, "rb") as f:
      while block := f.read(1 << 20):
        digest.update(block)
  return digest.hexdigest()
