"""What study directories say of their runs: how each ended, and what came out of it.

Directories are read as they are, finished or not, and whoever wrote them: what is damaged is left
out and counted.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jft_reps.errors import DataError, printable
from jft_reps.studies.plan import Run
from jft_reps.studies.running import keeper, ledger, run_files, stored_plan

DONE, FAILED, RUNNING, BLOCKED, LEFT = "done", "failed", "running", "blocked", "left"


@dataclasses.dataclass(frozen=True)
class RunResult:
  """A run of a study.

  Attributes:
    id: of the run.
    run: its name, kind, needs and tags.
    status: `done`, `failed`, `running`, `blocked` (needs one that failed) or `left`.
    reason: why it failed, or the failed run that it waits for.
    numbers: what came out; None: was not finite.
    directory: None where there is none to read from.
    seconds: of the attempt that ended it, without those cut off before; None: not known.
    files: JSON objects that stand in place of files of a directory, by name.
    card: likewise its run card.
  """

  id: str
  run: Run
  status: str
  reason: str = ""
  numbers: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
  directory: pathlib.Path | None = None
  seconds: float | None = None
  files: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  card: str = ""

  def file(self, name: str) -> dict[str, Any]:
    """The JSON object of a file in the run's directory; empty if there is none.

    Raises:
      DataError: it is something else.
    """
    path = self.directory / name if self.directory else None
    if path is None or not path.exists():
      return self.files.get(name, {})
    if not path.is_file():  # of a pipe, reading would never end
      raise DataError("run-file", path, "no plain file", "a JSON object")
    return run_files.read_json(path)


@dataclasses.dataclass(frozen=True)
class Study:
  """The runs of one or several study directories.

  Attributes:
    plan: reference that the first directory was made from; "" if it does not say.
    results: in the order of their plans; a run that stands in several directories once.
    notes: what was left out, for the reader of the report.
    overrides: of the plan's configuration, by key, likewise of the first directory.
    planned: runs of the whole that the plans are parts of; 0: not known.
    config: values of its configuration by key, likewise; empty: not known.
  """

  plan: str
  results: list[RunResult]
  notes: list[str]
  overrides: Mapping[str, str] = dataclasses.field(default_factory=dict)
  planned: int = 0
  config: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def of_directory(workdir: str | os.PathLike) -> Study:
  """Reads the work directory of a study.

  Raises:
    DataError: it is none.
    StorageError: it cannot be read.
  """
  place = pathlib.Path(workdir)
  stored, records, notes = stored_plan.read(place), ledger.read(place), list[str]()
  left_out = set(stored.left_out) & set(records)
  if left_out:
    notes.append(f"{printable(place.name)}: {len(left_out)} runs of other configurations that "
                 "were run in the directory are not shown.")
  runs, source = [*stored.runs, *stored.earlier], stored.source
  return Study(source.plan, list(_results(place, runs, records, notes)), notes, source.overrides,
               len(set(stored.whole.values())), source.config)


def merged(studies: Iterable[Study]) -> Study:
  """Several studies as one; of a run that stands in several the first that is done.

  What that one lacks of files and run card is taken from the others.
  """
  studies, notes = list(studies), []
  results: dict[tuple[str, str], RunResult] = {}
  for study in studies:
    notes += study.notes
    for result in study.results:
      key = result.id, result.run.name
      first = results.get(key)
      if first is None or first.status != DONE:
        results[key] = result
      elif result.status == DONE:
        results[key] = dataclasses.replace(
            first, directory=first.directory or result.directory, card=first.card or result.card,
            files={**result.files, **first.files})
  for what, told in (("plans", [study.plan for study in studies]),
                     ("overrides", [dict(study.overrides) for study in studies])):
    distinct = [each for i, each in enumerate(told) if each not in told[:i]]
    if len(distinct) > 1:
      notes.append(f"The directories were made with different {what}: "
                   f"{', '.join(map(repr, distinct))}.")
  about = studies[0] if studies else Study("", [], [])
  return dataclasses.replace(about, results=list(results.values()), notes=notes,
                             planned=max((study.planned for study in studies), default=0))


def counts(results: Iterable[RunResult]) -> str:
  """`12 of 40 runs done, 1 failed, 27 left`; a run of several names counts once."""
  found = collections.Counter({result.id: result.status for result in results}.values())
  words = {BLOCKED: "waiting for a failed one"}
  parts = [f"{found[DONE]} of {found.total()} runs done"]
  return ", ".join(parts + [f"{found[status]} {words.get(status, status)}"
                            for status in (FAILED, RUNNING, BLOCKED, LEFT) if found[status]])


def _results(workdir: pathlib.Path, runs: Iterable[tuple[str, Run]],
             records: Mapping[str, ledger.Record], notes: list[str]) -> Iterator[RunResult]:
  """What ledger and directories say of runs that stand after what they need."""
  lock = workdir / "lock"
  alive = lock.is_file() and ledger.in_use(workdir)
  stopped: dict[str, str] = {}
  for id, run in runs:
    record, place = records.get(id), workdir / "runs" / id
    status, reason, numbers = LEFT, "", dict[str, float | None]()
    if record and record.status == "done":
      status, numbers = DONE, record.numbers
    elif record and record.status in ledger.FAILURES:
      status, reason = FAILED, f"{record.status}: {record.reason}"
    elif (place / keeper.NUMBERS).is_file():  # which its runner did not live to see
      try:
        status, numbers = DONE, run_files.read_numbers(place)
      except DataError as error:
        status, reason = FAILED, f"no numbers: {error.found}"
    elif record and alive:
      status = RUNNING
    elif blocking := [stopped[name] for name in run.needs if name in stopped]:
      status, reason = BLOCKED, blocking[0]
    if status in (FAILED, BLOCKED):
      stopped[run.name] = reason if status == BLOCKED else run.name
    yield RunResult(id, run, status, reason, _finite(numbers, run, notes),
                    place if place.is_dir() else None, record.seconds if record else None)


def _finite(numbers: Mapping[str, Any], run: Run, notes: list[str]) -> dict[str, float | None]:
  """The numbers, without what is none."""
  kept: dict[str, float | None] = {}
  wrong = []
  for name, value in numbers.items():
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
      wrong.append(name)
      continue
    try:
      kept[name] = float(value) if value is not None and math.isfinite(value) else None
    except OverflowError:
      kept[name] = None
  if wrong:
    notes.append(f"Run {printable(run.name)}: {len(wrong)} numbers left out that are none, as "
                 f"{printable(wrong[0])}.")
  return kept
