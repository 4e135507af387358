"""Copies of checkpoints that the trainer does not delete: those under evaluation, and `best/`."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import socket
import time
from collections.abc import Iterator

from jft_reps.errors import StorageError
from jft_reps.training.run_directory import checkpoints

_OWNER = re.compile(r"(?:\.best\.tmp|\.best\.old|held-\d+)-(.*)-(\d+)$")
_FOREIGN = 86400.0  # seconds after which what another machine's process left counts as left over


def _owner() -> str:
  return f"{socket.gethostname()}-{os.getpid()}"


@contextlib.contextmanager
def held(run: pathlib.Path, step: int) -> Iterator[pathlib.Path]:
  """A folder with links to a checkpoint's files, which outlive the trainer's sweep.

  Raises:
    StorageError: the checkpoint is damaged or was removed meanwhile.
  """
  folder = run / ".monitor" / f"held-{step}-{_owner()}"
  shutil.rmtree(folder, ignore_errors=True)
  checkpoints.verify(run, step)
  try:
    try:
      folder.mkdir(parents=True)
      for path in run.glob(f"ckpt-{step}.*"):
        _link(path, folder / path.name)
    except OSError as e:
      raise StorageError("checkpoint-vanished", checkpoints.prefix(run, step), str(e)) from e
    yield folder
  finally:
    shutil.rmtree(folder, ignore_errors=True)


def keep_best(run: pathlib.Path, step: int, folder: pathlib.Path, name: str,
              number: float | None) -> None:
  """Replaces `best/` if a held checkpoint's number is larger; a missing number never is."""
  best = run / "best"
  if number is None or math.isnan(number):
    return
  if (best / "info.json").exists():
    if json.loads((best / "info.json").read_text())["value"] >= number:
      return
  new, old = run / f".best.tmp-{_owner()}", run / f".best.old-{_owner()}"
  for path in (new, old):
    shutil.rmtree(path, ignore_errors=True)
  new.mkdir()
  for path in folder.iterdir():
    _link(path, new / path.name)
  (new / "info.json").write_text(json.dumps({"step": step, "name": name, "value": number}))
  checkpoints.verify(new, step)
  if best.exists():
    os.replace(best, old)
  os.replace(new, best)
  shutil.rmtree(old, ignore_errors=True)


def sweep(run: pathlib.Path) -> None:
  """Removes what killed monitors left, after putting back a `best/` that one had moved away."""
  old = [p for p in run.glob(".best.old-*") if _left_over(p)]
  if old and not (run / "best").exists():
    os.replace(max(old, key=lambda p: p.stat().st_mtime), run / "best")
  for path in [*run.glob(".best.tmp-*"), *run.glob(".best.old-*"), *run.glob(".monitor/*")]:
    if _left_over(path):
      shutil.rmtree(path, ignore_errors=True)


def _left_over(path: pathlib.Path) -> bool:
  """Whether the process that a folder's name tells has ended; this one has just begun."""
  owner = _OWNER.match(path.name)
  if owner is None or owner[1] != socket.gethostname():
    with contextlib.suppress(FileNotFoundError):
      return time.time() - path.stat().st_mtime > _FOREIGN
    return False
  if int(owner[2]) == os.getpid():
    return True
  try:
    os.kill(int(owner[2]), 0)
  except ProcessLookupError:
    return True
  except PermissionError:
    pass
  return False


def _link(source: pathlib.Path, target: pathlib.Path) -> None:
  try:
    os.link(source, target)
  except FileNotFoundError:
    raise
  except OSError:
    shutil.copyfile(source, target)
