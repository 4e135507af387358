"""What is kept of a study when its weights are not: two files that a repository can hold.

  study.jsonl    its plan, then one line for each run: what it was, its numbers, some of its files
  run_cards.md   the run cards

A report reads an archive as it reads a work directory, and a study goes on from it: runs that are
done there are not made again, unless one that is left needs their weights.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from jft_reps import whole_files
from jft_reps.errors import DataError, printable
from jft_reps.studies.plan import Run
from jft_reps.studies.running import results as report_runs
from jft_reps.studies.running import stored_plan
from jft_reps.studies.running.results import RunResult, Study

RUNS, CARDS = "study.jsonl", "run_cards.md"
TAKEN = "archive"  # folder of a work directory
_LARGEST = 1 << 28  # bytes of either file
_PROGRAM = re.compile(r"\S*/jft_reps/apps/(\w+)\.py")


def opened(paths: Iterable[str | os.PathLike]) -> Study:
  """The study in work directories and archives; of a run in several of them the first that is done.

  Raises:
    DataError: one of them is neither.
    StorageError: one cannot be read.
  """
  found = []
  for path in map(pathlib.Path, paths):
    if is_archive(path):
      found.append(read(path))
      continue
    found.append(report_runs.of_directory(path))
    if is_archive(path / TAKEN):  # of which it has the numbers, and no files
      found.append(_of(found[-1], read(path / TAKEN)))
  return report_runs.merged(found)


def _of(study: Study, archive: Study) -> Study:
  """That part of an archive which a study has as well."""
  known = {(result.id, result.run.name) for result in study.results}
  results = [r for r in archive.results if (r.id, r.run.name) in known]
  return dataclasses.replace(study, results=results, notes=[])


def take(directory: str | os.PathLike, workdir: str | os.PathLike) -> list[RunResult]:
  """The runs of an archive, for a study in a work directory to go on from; keeps a copy there.

  Raises:
    DataError: it is damaged, or no archive.
    StorageError: the copy cannot be written.
  """
  if not is_archive(directory):
    raise DataError("archive", printable(directory), f"no {RUNS}", "the archive of a study",
                    "Give a folder that `report --archive` wrote.")
  study = read(directory)
  whole_files.write_all(pathlib.Path(workdir) / TAKEN, {
      name: _text(path) for name in (RUNS, CARDS)
      if (path := pathlib.Path(directory) / name).is_file()})
  return study.results


def is_archive(directory: str | os.PathLike) -> bool:
  """Whether there is one."""
  path = pathlib.Path(directory) / RUNS
  return path.is_file() and not path.is_symlink()


def write(directory: str | os.PathLike, study: Study, files: Collection[str] = (),
          detailed: Collection[str] = ()) -> list[str]:
  """Writes an archive over what is there; returns the paths of its files.

  Args:
    directory: is made where it is absent.
    study: whose numbers are kept to six significant digits, as reports show them.
    files: names of JSON files to keep of every run's directory.
    detailed: ids of runs whose `classes.json` is kept as well.

  Raises:
    DataError: a file of a run is damaged.
    StorageError: it cannot be written.
  """
  lines = [{"plan": study.plan, "overrides": dict(study.overrides), "planned": study.planned,
            "config": dict(study.config), "notes": list(study.notes)}]
  lines += [_line(result, {*files, *(["classes.json"] if result.id in detailed else [])})
            for result in study.results]
  cards = [(result.run.name, card(result)) for result in study.results
           if result.status == report_runs.DONE]
  return whole_files.write_all(directory, {
      RUNS: "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines),
      CARDS: "".join([f"# Run cards of {study.plan}\n",
                      *(f"\n## {name}\n\n{text}\n" for name, text in cards if text)])})


def _line(result: RunResult, files: Collection[str]) -> dict[str, Any]:
  run = result.run
  line = {"id": result.id, "name": run.name, "kind": run.kind, "config": run.config,
          "needs": list(run.needs), "tags": dict(run.tags)}
  if result.status in (report_runs.FAILED, report_runs.BLOCKED):
    return line | {"status": result.status, "reason": result.reason}
  if result.status != report_runs.DONE:
    return line  # what was running is left
  kept = {name: content for name in sorted(files) if (content := result.file(name))}
  seconds = None if result.seconds is None else round(result.seconds)
  return line | {"seconds": seconds, "numbers": _short(result.numbers), "files": _short(kept)}


def _short(value: Any) -> Any:
  """JSON with numbers of six significant digits."""
  if isinstance(value, Mapping):
    return {key: _short(each) for key, each in value.items()}
  if isinstance(value, (list, tuple)):
    return [_short(each) for each in value]
  if isinstance(value, float):
    return float(f"{value:.6g}") if math.isfinite(value) else None
  return value


def card(result: RunResult) -> str:
  """The run card of a run, without heading and without places of this machine; "" without one.

  It lies in the run's directory, or one folder below; what a link leads to is not read.
  """
  place = result.directory
  if place is None:
    return result.card
  found = [path for path in (place / "run_card.md", *sorted(place.glob("*/run_card.md")))
           if path.is_file() and not (path.is_symlink() or path.parent.is_symlink())]
  if not found:
    return result.card
  text = _text(found[0]).replace(os.path.abspath(place.parents[1]), "STUDY")
  return _PROGRAM.sub(r"python -m jft_reps.apps.\1", text).removeprefix("# Run card").strip()


def read(directory: str | os.PathLike) -> Study:
  """The study that an archive holds.

  Raises:
    DataError: it is damaged; names the line.
    StorageError: it cannot be read.
  """
  path = pathlib.Path(directory) / RUNS
  lines, cards = _text(path).splitlines(), _cards(pathlib.Path(directory) / CARDS)
  about, results = Study("", [], []), []
  for number, line in enumerate(lines, 1):
    try:
      content = json.loads(line)
      if number == 1:
        about = Study(str(content["plan"]), [], list(map(str, content.get("notes", ()))), {
            str(k): str(v) for k, v in content.get("overrides", {}).items()},
                      int(content.get("planned", 0)), dict(content.get("config") or {}))
      else:
        results.append(_result(content, cards))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError,
            RecursionError) as error:
      raise DataError("archive", f"{printable(path)}:{number}", printable(error), "a line of an "
                      "archived study", "Take the file as it was written.") from error
  names = [result.run.name for result in results]
  if not lines or len(set(names)) < len(names):
    raise DataError("archive", printable(path), "a run twice" if lines else "an empty file",
                    "an archived study", "Take the file as it was written.")
  return dataclasses.replace(about, results=results)


def _result(line: Mapping[str, Any], cards: Mapping[str, str]) -> RunResult:
  run = Run(str(line["name"]), str(line["config"]), kind=str(line["kind"]),
            needs=tuple(map(str, line["needs"])), tags=dict(line["tags"]))
  id, numbers = stored_plan.checked_id(line["id"]), line.get("numbers")
  if numbers is None:
    status = str(line.get("status", report_runs.LEFT))
    if status not in (report_runs.LEFT, report_runs.FAILED, report_runs.BLOCKED):
      raise ValueError(f"status of {run.name} is {status!r}")
    return RunResult(id, run, status, str(line.get("reason", "")))
  finite = {str(name): None if value is None else float(value) for name, value in numbers.items()}
  if not all(value is None or math.isfinite(value) for value in finite.values()):
    raise ValueError(f"numbers of {run.name} that are not finite")
  seconds = None if line.get("seconds") is None else float(line["seconds"])
  files = dict(line.get("files") or {})
  if not all(isinstance(content, dict) for content in files.values()):
    raise ValueError(f"files of {run.name} that are no JSON objects")
  return RunResult(id, run, report_runs.DONE, "", finite, None, seconds, files,
                cards.get(run.name, ""))


def _cards(path: pathlib.Path) -> dict[str, str]:
  """Run cards by name of the run."""
  sections = _text(path).split("\n## ")[1:] if path.is_file() else []
  return {name.strip(): text.strip() for name, _, text in (s.partition("\n") for s in sections)}


def _text(path: pathlib.Path) -> str:
  try:
    with open(path, encoding="utf-8") as file:
      return file.read(_LARGEST)
  except (OSError, ValueError) as error:
    raise DataError("archive", printable(path), printable(error),
                    "the archive of a study") from error
