"""The ledger of a study: what was started and how it ended, one line of JSON each.

Lines are only ever appended, each one synced to the disk. A last line that was cut by a kill is
taken away by the next study; whatever it said is told again by the directory of its run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

from jft_reps.errors import ConfigError, DataError, StorageError, printable

FAILURES = ("failed", "timeout", "killed")
_ENDS = ("done", *FAILURES)


@dataclasses.dataclass
class Record:
  """What the ledger says of one run.

  Attributes:
    status: `started`, `done`, `failed`, `timeout` or `killed`.
    time: of the last event, in seconds since 1970.
    failures: attempts that did not end well.
    seconds: that the last attempt took; None if its runner was killed meanwhile.
    numbers: of a run that is done.
    reason: why it did not end well.
    name, kind: of the run when it was last made.
  """

  status: str
  time: float
  failures: int = 0
  seconds: float | None = None
  numbers: dict[str, float | None] = dataclasses.field(default_factory=dict)
  reason: str = ""
  name: str = ""
  kind: str = ""


class Ledger:
  """Records by id of a work directory, and the file that they are appended to."""

  def __init__(self, workdir: str | os.PathLike):
    self.path = pathlib.Path(workdir) / "ledger.jsonl"
    self.records = read(workdir)
    _repair(self.path)

  def append(self, id: str, status: str, **rest: Any) -> Record:
    """Writes down one event of a run.

    Args:
      id: of the run.
      status, **rest: as in `Record`.

    Raises:
      StorageError: it cannot be written.
    """
    line = {"id": id, "status": status, "time": round(time.time(), 3), **rest}
    try:
      with open(self.path, "ab") as file:
        file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
      raise StorageError("ledger-write", self.path, printable(error), "a writable file") from error
    _take(self.records, line)
    return self.records[id]


def read(workdir: str | os.PathLike) -> dict[str, Record]:
  """Records by id, without those of lines that are damaged.

  Raises:
    DataError: it is a pipe.
    StorageError: it cannot be read.
  """
  records: dict[str, Record] = {}
  path = pathlib.Path(workdir) / "ledger.jsonl"
  if path.is_fifo():  # reading would never end
    raise DataError("ledger-read", printable(path), "no plain file", "the ledger of a study")
  try:
    with open(path, "rb") as file:
      for line in file:
        with contextlib.suppress(ValueError, RecursionError, TypeError, KeyError, AttributeError,
                                 OverflowError):
          _take(records, json.loads(line))
  except FileNotFoundError:
    pass
  except OSError as error:
    raise StorageError("ledger-read", path, printable(error), "a readable file") from error
  return records


def _take(records: dict[str, Record], line: dict[str, Any]) -> None:
  """Brings the records to what they are after one more line."""
  if line["status"] not in ("started", *_ENDS) or not isinstance(line["id"], str):
    raise ValueError(line["status"])
  before = records.get(line["id"])
  seconds = line.get("seconds")
  records[line["id"]] = Record(
      line["status"], float(line["time"]),
      (before.failures if before else 0) + (line["status"] in FAILURES),
      None if seconds is None else float(seconds), dict(line.get("numbers") or {}),
      str(line.get("reason", "")), str(line.get("name", "")), str(line.get("kind", "")))


def _repair(path: pathlib.Path) -> None:
  """Cuts what is behind the last whole line."""
  try:
    with open(path, "r+b") as file:
      content = file.read()
      end = content.rfind(b"\n") + 1
      if end < len(content):
        file.truncate(end)
        os.fsync(file.fileno())
  except FileNotFoundError:
    pass
  except OSError as error:
    raise StorageError("ledger-write", path, printable(error), "a writable file") from error


@contextlib.contextmanager
def alone(workdir: str | os.PathLike) -> Iterator[None]:
  """Keeps other studies out of the work directory; the system gives it back when we die.

  Raises:
    ConfigError: another one is running there.
    StorageError: the directory cannot be written.
  """
  path = pathlib.Path(workdir) / "lock"
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+")
  except OSError as error:
    raise StorageError("workdir", path, printable(error), "a writable directory") from error
  with file:
    for wait in (0.1, 0.2, 0.4, None):  # `in_use` holds it for a moment
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
      except BlockingIOError:
        if wait is None:
          raise ConfigError("workdir-in-use", workdir, "another study is running here",
                            "one at a time", "Wait for it, or take another directory.") from None
        time.sleep(wait)
    yield


def in_use(workdir: str | os.PathLike) -> bool:
  """Whether a study is running in the directory."""
  try:
    with open(pathlib.Path(workdir) / "lock") as file:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
  except BlockingIOError:
    return True
  except OSError:
    return False
  return False


def failed(records: dict[str, Record], ids: Iterable[str]) -> list[str]:
  """Those of `ids` whose last attempt did not end well."""
  return [id for id in ids if id in records and records[id].status in FAILURES]
