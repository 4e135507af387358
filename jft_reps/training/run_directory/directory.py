"""What a run leaves behind, and the lock that keeps a second trainer out of it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import pathlib
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, TextIO

from absl import logging

from jft_reps import whole_files
from jft_reps.errors import StorageError
from jft_reps.training.run_directory import checkpoints

STOPPED = "STOPPED"
_PACKAGES = ("tensorflow", "tf_keras", "tf-models-official", "numpy", "jft_reps")


def run_id(config: Mapping[str, Any]) -> str:
  """Twelve hex digits of the resolved configuration without its workdir."""
  stable = {k: v for k, v in config.items() if k != "workdir"}
  return hashlib.sha256(json.dumps(stable, sort_keys=True, default=str).encode()).hexdigest()[:12]


def versions() -> dict[str, str]:
  """Versions of what decides the numbers."""
  found = {"python": platform.python_version()}
  for package in _PACKAGES:
    with contextlib.suppress(metadata.PackageNotFoundError):
      found[package] = metadata.version(package)
  return found


def commit() -> str:
  """The commit of the clone that the library lies in, `-dirty` where it was changed; or ""."""
  clone = pathlib.Path(__file__).resolve().parents[3]
  if not (clone / ".git").exists():
    return ""
  with contextlib.suppress(OSError, subprocess.SubprocessError):
    return subprocess.run(
        ["git", "-C", clone, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        capture_output=True, text=True, timeout=10, check=True).stdout.strip()
  return ""


def _leaves(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  found: dict[str, Any] = {}
  for key, value in config.items():
    found |= _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
  return found


class RunDirectory:
  """`config.json`, `run_card.md`, checkpoints, event folders, `metrics.jsonl`, `DONE`.

  In place of `DONE`, `STOPPED` says why a trainer ended before its last step.
  """

  def __init__(self, path: str | os.PathLike[str]):
    self.path = pathlib.Path(path)
    self._lock: TextIO | None = None

  def open(self) -> None:
    """Creates the folder, takes the trainer's lock and sweeps what killed saves left.

    Raises:
      StorageError: not writable, or another trainer works here.
    """
    try:
      self.path.mkdir(parents=True, exist_ok=True)
      lock = self._lock = open(self.path / ".lock", "a+")
    except OSError as e:
      raise StorageError("workdir", self.path, str(e), "a folder to write to") from e
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
      lock.seek(0)
      raise StorageError("workdir-in-use", self.path, f"in use by {lock.read().strip()}",
                         "one trainer per run directory", "Wait for it or choose another.") from e
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {socket.gethostname()} since {time.ctime()}")
    lock.flush()
    checkpoints.remove_leftovers(self.path)

  def close(self) -> None:
    """Gives the lock back."""
    if self._lock is not None:
      self._lock.close()
      self._lock = None

  def describe(self, config: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    """Writes `config.json` and `run_card.md`: what was run, with which versions."""
    for key, (old, new) in self._changes(config).items():
      logging.warning("%s: config.%s was %s, is now %s", self.path, key, old, new)
    whole_files.write(self.path / "config.json",
                      json.dumps(config, indent=1, sort_keys=True, default=str))
    source = commit()
    rows = {"run id": run_id(config), "command": " ".join(sys.argv), **card,
            **({"commit": source} if source else {}),
            **{f"{k} version": v for k, v in versions().items()}}
    lines = ["# Run card", "", "| | |", "|---|---|"]
    lines += [f"| {k} | {str(v).replace('|', '/')} |" for k, v in rows.items()]
    whole_files.write(self.path / "run_card.md", "\n".join(lines) + "\n")

  def _changes(self, config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Values that differ from the run's earlier configuration, by dotted key."""
    try:
      before = json.loads((self.path / "config.json").read_text())
    except (OSError, ValueError):
      return {}
    old, new = _leaves(before), _leaves(json.loads(json.dumps(config, default=str)))
    return {k: (old.get(k), new.get(k)) for k in sorted({*old, *new})
            if old.get(k) != new.get(k) and k != "workdir"}


  def newest(self) -> int | None:
    """Step of the newest committed checkpoint after checking its files, or None for a fresh run.

    Raises:
      StorageError: checkpoints were here, but none is committed: never a silent fresh start.
    """
    steps = checkpoints.committed(self.path)
    if steps:
      checkpoints.verify(self.path, steps[-1])
      return steps[-1]
    if (self.path / "DONE").exists() or any(m.get("step", 0) > 0 for m in self.metrics()):
      raise StorageError("checkpoints-gone", self.path, "metrics of earlier steps, no checkpoint",
                         "a committed checkpoint", "Restore it or choose an empty workdir.")
    return None

  def append(self, name: str = "metrics.jsonl", /, **values: Any) -> None:
    """One line of a JSON-lines file; what is not finite becomes null.

    A full disk costs the line, never the run; a line that was cut short stays alone.
    """
    plain = {k: v.item() if hasattr(v, "item") else v for k, v in values.items()}
    clean = {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in plain.items()
    }
    try:
      with open(self.path / name, "ab+") as f:
        f.seek(-min(1, f.tell()), os.SEEK_END)
        whole = f.read(1) in (b"", b"\n")
        line = json.dumps(clean, allow_nan=False) + "\n"
        f.write((line if whole else f"\n{line}").encode())
    except OSError as e:
      logging.log_every_n_seconds(logging.WARNING, "%s: not written: %s", 3600, self.path / name, e)

  def metrics(self) -> Iterator[dict[str, Any]]:
    """Lines of `metrics.jsonl`; a last line that was cut off is left out."""
    path = self.path / "metrics.jsonl"
    if not path.exists():
      return
    for line in path.read_text().splitlines():
      with contextlib.suppress(ValueError):
        yield json.loads(line)

  def finish(self, step: int) -> None:
    """Writes `DONE` with the last step: the monitor stops after evaluating it."""
    whole_files.write(self.path / "DONE", json.dumps({"step": step, "time": time.time()}))

  def done(self) -> int | None:
    """The last step of a finished run, else None."""
    with contextlib.suppress(FileNotFoundError):
      return json.loads((self.path / "DONE").read_text())["step"]
    return None

  def stopped(self) -> str | None:
    """Why the trainer ended before its last step; None: it did not, or nobody knows."""
    path = self.path / STOPPED
    try:
      return str(json.loads(path.read_text(encoding="utf-8"))["reason"])
    except FileNotFoundError:
      return None
    except (OSError, ValueError, KeyError, TypeError) as e:
      return f"{STOPPED} cannot be read: {e}"

  def stop(self, reason: str) -> None:
    """Writes `STOPPED` with the reason, for those who wait; a full disk costs it, not the error."""
    with contextlib.suppress(OSError, StorageError):
      whole_files.write(self.path / STOPPED, json.dumps({"reason": reason, "time": time.time()}))

  def go_on(self) -> None:
    """Takes `STOPPED` away: a trainer is at work."""
    (self.path / STOPPED).unlink(missing_ok=True)

  def reopen(self) -> None:
    """Takes `DONE` away: the run goes on to more steps."""
    (self.path / "DONE").unlink(missing_ok=True)
