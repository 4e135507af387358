"""Keeps one run: starts its command, ends it in time or with its runner, says how it went.

A program of its own that needs nothing but the standard library:

  keeper.py DIRECTORY ATTEMPT TIMEOUT GRACE COMMAND…

Its standard input is a pipe from the runner, which closes when the runner dies, however it dies.
The command is a process group of its own, of which nothing is left running. `lock` in the
directory is held by keeper and command, so that a run is never made twice at once. A command
commits by writing `numbers.json`; a directory that has it is not run again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import IO, Any

NUMBERS, OUTCOME, LOCK = "numbers.json", "outcome.json", "lock"


def write_json(path: str | os.PathLike, value: Any) -> None:
  """Writes JSON that appears as a whole, and is still there after a power cut."""
  partial = f"{os.fspath(path)}.{os.getpid()}.partial"
  try:
    with open(partial, "w", encoding="utf-8") as file:
      json.dump(value, file, allow_nan=False)
      file.flush()
      os.fsync(file.fileno())
    os.replace(partial, path)
  finally:
    with contextlib.suppress(OSError):
      os.remove(partial)


def end_group(group: int, grace: float = 0.0) -> None:
  """Ends a process group: politely, and after `grace` seconds for good."""
  with contextlib.suppress(ProcessLookupError, PermissionError):
    if grace:
      os.killpg(group, signal.SIGTERM)
      limit = time.monotonic() + grace
      while time.monotonic() < limit:
        os.killpg(group, 0)
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)


def end_left_over(directory: str | os.PathLike) -> None:
  """Ends what a killed keeper has left running: whoever still holds the lock."""
  with contextlib.suppress(OSError, ValueError), open(os.path.join(directory, LOCK)) as file:
    try:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
      end_group(int(file.read()))


def _hold(directory: str, grace: float) -> IO[str] | None:
  """The lock of the directory; None if the runner is gone or somebody else does not give it up."""
  file = open(os.path.join(directory, LOCK), "a+")
  limit = time.monotonic() + grace + 2
  while True:
    with contextlib.suppress(BlockingIOError):
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      return file
    if time.monotonic() > limit + 5 or select.select([0], [], [], 0.05)[0]:
      return None
    if time.monotonic() > limit:
      end_left_over(directory)


def _settled(directory: str, attempt: int) -> bool:
  """Whether an earlier keeper has finished this attempt."""
  if os.path.exists(os.path.join(directory, NUMBERS)):
    return True
  with contextlib.suppress(OSError, ValueError), open(os.path.join(directory, OUTCOME)) as file:
    return json.load(file)["attempt"] == attempt
  return False


def _kept(command: list[str], lock: IO[str], timeout: float, grace: float) -> dict | None:
  """Runs the command to its end; None if the runner died meanwhile."""
  try:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True,
                               pass_fds=[lock.fileno()])
  except OSError as error:
    return {"status": "failed", "reason": f"cannot be started: {error}"}
  lock.truncate(0)
  lock.write(str(process.pid))
  lock.flush()
  orphaned = threading.Event()

  def watch() -> None:
    os.read(0, 1)  # comes back only when the runner is gone
    orphaned.set()
    end_group(process.pid, grace)

  threading.Thread(target=watch, daemon=True).start()
  try:
    code = process.wait(timeout or None)
  except subprocess.TimeoutExpired:
    threading.Thread(target=end_group, args=(process.pid, grace), daemon=True).start()
    process.wait()
    code = None
  end_group(process.pid)  # what the command itself has left running
  lock.truncate(0)
  if orphaned.is_set():
    return None
  if code is None:
    return {"status": "timeout", "reason": f"after {timeout:g} s"}
  if code < 0:
    return {"status": "killed", "reason": f"by signal {-code} ({signal.strsignal(-code)})"}
  return {"status": "failed" if code else "done", "reason": f"exit code {code}" if code else ""}


def main(argv: list[str]) -> int:
  directory, attempt, timeout, grace, command = (
      argv[1], int(argv[2]), float(argv[3]), float(argv[4]), argv[5:])
  lock = _hold(directory, grace)
  if lock is None:
    print(f"{directory} is held by another process", file=sys.stderr)
    return 1
  if _settled(directory, attempt) or select.select([0], [], [], 0)[0]:
    return 0
  start = time.monotonic()
  outcome = _kept(command, lock, timeout, grace)
  if outcome is None:
    return 0
  if outcome["status"] != "done":
    with contextlib.suppress(OSError):
      os.remove(os.path.join(directory, NUMBERS))
  write_json(os.path.join(directory, OUTCOME),
             {"attempt": attempt, **outcome, "seconds": round(time.monotonic() - start, 3)})
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv))
