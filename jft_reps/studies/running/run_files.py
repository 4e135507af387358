"""What runner and run tell each other through the run's directory.

`run.json`: what is to be done; `numbers.json`: what came out, and that it is done; `log.txt`: what
the command printed; `outcome.json` and `lock` are the keeper's.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from jft_reps import whole_files
from jft_reps.errors import DataError, printable
from jft_reps.studies.plan import Run
from jft_reps.studies.running import keeper

HEADER = "--- "  # of an attempt, in the log
_LARGEST = 1 << 24


def write_run(directory: str | os.PathLike, run: Run) -> None:
  """Writes a resolved run, for the command to read."""
  whole_files.write(pathlib.Path(directory) / "run.json", json.dumps(dataclasses.asdict(run)))


def made(directory: str | os.PathLike) -> bool:
  """Whether a run was made here to its end, as against done elsewhere."""
  path = pathlib.Path(directory)
  return (path / "run.json").exists() and (path / keeper.NUMBERS).exists()


def read_run(directory: str | os.PathLike) -> Run:
  """The run that a command was started for.

  Raises:
    DataError: `run.json` is not what `write_run` writes.
  """
  path = pathlib.Path(directory) / "run.json"
  content = read_json(path)
  try:
    return Run(**content)
  except TypeError as error:
    raise DataError("run-file", path, printable(error), "a run", "Run the study again.") from error


def write_numbers(directory: str | os.PathLike, numbers: Mapping[str, float | None]) -> None:
  """Commits a run, as the last thing that its command does.

  Args:
    directory: of the run.
    numbers: what is not finite is written as null.

  Raises:
    DataError: a value is no number.
    StorageError: it cannot be written.
  """
  path = pathlib.Path(directory) / keeper.NUMBERS
  whole_files.write(path, json.dumps(_numbers(path, numbers), allow_nan=False))


def read_numbers(directory: str | os.PathLike) -> dict[str, float | None]:
  """The numbers of a run that is done; null and what is not finite are None.

  Raises:
    DataError: there are none, or other things than numbers.
  """
  path = pathlib.Path(directory) / keeper.NUMBERS
  return _numbers(path, read_json(path))


def read_outcome(directory: str | os.PathLike) -> dict[str, Any]:
  """What the keeper says of the last attempt; empty if there was none."""
  try:
    content = read_json(pathlib.Path(directory) / keeper.OUTCOME)
  except DataError:
    return {}
  seconds, status = content.get("seconds"), content.get("status")
  fine = (isinstance(seconds, (int, float)) and math.isfinite(seconds)
          and isinstance(status, str) and isinstance(content.get("attempt"), int))
  return {**content, "reason": str(content.get("reason", ""))} if fine else {}


def last_line(directory: str | os.PathLike) -> str:
  """The last line that a run printed, for the reason of its failure."""
  try:
    with open(pathlib.Path(directory) / "log.txt", "rb") as file:
      file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
      lines = file.read().decode("utf-8", "replace").split("\n")
  except OSError:
    return ""
  for line in reversed(lines):
    if line.startswith(HEADER):
      break
    if line.strip():
      return printable(line.strip(), 300)
  return ""


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """The object in a file.

  Raises:
    DataError: there is none.
  """
  try:
    with open(path, "rb") as file:
      content = json.loads(file.read(_LARGEST))
  except (OSError, ValueError, RecursionError) as error:
    raise DataError("run-file", path, printable(error), "a JSON object") from error
  if not isinstance(content, dict):
    raise DataError("run-file", path, f"a {type(content).__name__}", "a JSON object")
  return content


def _numbers(path: pathlib.Path, values: Mapping[str, Any]) -> dict[str, float | None]:
  checked: dict[str, float | None] = {}
  for name, value in values.items():
    try:
      number = None if value is None else float(value) if not isinstance(value, str) else value
    except OverflowError:
      number = None
    except (TypeError, ValueError):
      number = value
    if number is not None and not isinstance(number, float):
      raise DataError("run-file", path, f"{printable(name)} is {printable(value)}", "a number")
    checked[str(name)] = number if number is not None and math.isfinite(number) else None
  return checked
