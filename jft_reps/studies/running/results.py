"""What study directories say of their runs: how each ended, and what came out of it.

Directories are read as they are, finished or not, and whoever wrote them: what is damaged is left
out and counted, and nothing is read through a link that leads out of the study.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from jft_reps.errors import DataError, printable
from jft_reps.studies.plan import Run
from jft_reps.studies.running import keeper, ledger, run_files

DONE, FAILED, RUNNING, BLOCKED, LEFT = "done", "failed", "running", "blocked", "left"


@dataclasses.dataclass(frozen=True)
class Result:
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
    if path is None or not os.path.lexists(path):
      return self.files.get(name, {})
    if not _plain(path):
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
  results: list[Result]
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
  workdir, notes = pathlib.Path(workdir), []
  content = _plan(workdir)
  left_out = content["left_out"] & set(_records(workdir))
  if left_out:
    notes.append(f"{printable(workdir.name)}: {len(left_out)} runs of other configurations that "
                 "were run in the directory are not shown.")
  return Study(content["plan"], list(_results(workdir, content["runs"], notes)), notes,
               content["overrides"], content["planned"], content["config"])


def merged(studies: Iterable[Study]) -> Study:
  """Several studies as one; of a run that stands in several the first that is done.

  What that one lacks of files and run card is taken from the others.
  """
  studies, notes = list(studies), []
  results: dict[tuple[str, str], Result] = {}
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
  first = studies[0] if studies else Study("", [], [])
  return dataclasses.replace(first, results=list(results.values()), notes=notes,
                             planned=max((study.planned for study in studies), default=0))


def counts(results: Iterable[Result]) -> str:
  """`12 of 40 runs done, 1 failed, 27 left`; a run of several names counts once."""
  found = collections.Counter({result.id: result.status for result in results}.values())
  words = {BLOCKED: "waiting for a failed one"}
  parts = [f"{found[DONE]} of {found.total()} runs done"]
  return ", ".join(parts + [f"{found[status]} {words.get(status, status)}"
                            for status in (FAILED, RUNNING, BLOCKED, LEFT) if found[status]])


def _plain(path: pathlib.Path) -> bool:
  """Whether it is a file, and no link."""
  return path.is_file() and not path.is_symlink()


def _plan(workdir: pathlib.Path) -> dict[str, Any]:
  """The checked content of plan.json; each of `runs` is (id, Run)."""
  path = workdir / "plan.json"
  if not _plain(path):
    raise DataError("plan-file", printable(path), "there is none", "the directory of a study",
                    "Give the --workdir of a study.")
  content = run_files.read_json(path)
  try:
    runs = [(checked_id(r["id"]), Run(str(r["name"]), str(r.get("config", "")), kind=str(r["kind"]),
                                      needs=tuple(map(str, r["needs"])),
                                      tags=dict(r.get("tags") or {})))
            for r in [*content["runs"], *(content.get("earlier") or [])]]
    overrides = {str(k): str(v) for k, v in dict(content.get("overrides") or {}).items()}
    config = dict(content.get("config") or {})
    left_out = set(map(str, content.get("left_out") or ()))
    planned = len(set(dict(content.get("whole") or {}).values()))
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise DataError("plan-file", printable(path), printable(error), "the plan of a study",
                    "Start the study again.") from error
  return {"plan": str(content.get("plan") or ""), "overrides": overrides, "runs": runs,
          "left_out": left_out, "planned": planned, "config": config}


def checked_id(text: Any) -> str:
  """An id, which becomes part of a path.

  Raises:
    ValueError: it cannot.
  """
  if not (isinstance(text, str) and re.fullmatch(r"\w[\w-]{0,80}", text)):
    raise ValueError(f"a run's id is {text!r}")
  return text


def _results(workdir: pathlib.Path, runs: list[tuple[str, Run]],
             notes: list[str]) -> Iterable[Result]:
  """What ledger and directories say of runs that stand after what they need."""
  lock = workdir / "lock"
  records, alive = _records(workdir), lock.is_file() and ledger.in_use(workdir)
  stopped: dict[str, str] = {}
  for id, run in runs:
    record, place = records.get(id), _directory(workdir, id, run, notes)
    status, reason, numbers = LEFT, "", {}
    if record and record.status == "done":
      status, numbers = DONE, record.numbers
    elif record and record.status in ledger.FAILURES:
      status, reason = FAILED, f"{record.status}: {record.reason}"
    elif place and _plain(place / keeper.NUMBERS):  # which its runner did not live to see
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
    yield Result(id, run, status, reason, _finite(numbers, run, notes), place,
                 record.seconds if record else None)


def _records(workdir: pathlib.Path) -> dict[str, ledger.Record]:
  path = workdir / "ledger.jsonl"
  if os.path.lexists(path) and not _plain(path):
    raise DataError("ledger-read", printable(path), "no plain file", "the ledger of a study")
  try:
    return ledger.read(workdir)
  except ArithmeticError as error:
    raise DataError("ledger-read", printable(path), printable(error), "numbers") from error


def _directory(workdir: pathlib.Path, id: str, run: Run, notes: list[str]) -> pathlib.Path | None:
  """The directory of a run, if it is one of this study and not a link."""
  place = workdir / "runs" / id
  if not place.is_symlink() and not (workdir / "runs").is_symlink():
    return place if place.is_dir() else None
  notes.append(f"Directory of {printable(run.name)}: a link, not read.")
  return None


def _finite(numbers: Mapping[str, Any], run: Run, notes: list[str]) -> dict[str, float | None]:
  """The numbers, without what is none."""
  kept, wrong = {}, []
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
