"""What more data would bring, from Python: what `jft-reps forecast` does."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from jft_reps import whole_files
from jft_reps.errors import ConfigError, DataError
from jft_reps.studies.forecast import answers, curve, curve_file, scale


def forecast(path: str | os.PathLike[str], at: Sequence[float] = (), target: float | None = None,
             cost_per_picture: float | None = None, hours_per_run: float | None = None,
             next: bool = False, higher_is_better: bool = False, best: float | None = None,
             chance: float | None = None,
             output: str | os.PathLike[str] | None = None) -> list[answers.Forecast]:
  """Forecasts each curve of a CSV; `workflows.study.forecasting` has those of a study.

  Args:
    path: CSV with the columns pictures and value, and maybe seed, task and arm.
    at: sizes beside 2, 5 and 10 times the largest.
    target: a value; how many pictures it takes.
    cost_per_picture: in any currency, for the doubling and for `next`.
    hours_per_run: of a run with the largest size; a run takes in proportion to its size.
    next: say which size to train next.
    higher_is_better: values are scores.
    best: perfect; default 0, of scores 1 or 100.
    chance: guessing; default 1 for errors of at most 1, 0 for scores, otherwise unknown.
    output: folder for forecast.json, .csv, .png, .svg and .html.

  Returns:
    A forecast per task and arm, in the file's order.

  Raises:
    DataError: the file holds no curve that can be carried on, with its line.
    ConfigError: an argument is out of range.
    StorageError: `output` cannot be written.
  """
  asked = questions(at, target, cost_per_picture, hours_per_run, next)
  found = []
  for name, rows in curve_file.read(path).items():
    try:
      scale.check_rows(rows.sizes, rows.values, rows.places)
    except DataError as error:  # a curve as a whole is named as well
      if not name or error.slug != "curve-short":
        raise
      raise DataError(error.slug, f"{error.where}, {name}", error.found, error.expected,
                      error.fix) from None
    sizes, values = np.array(rows.sizes), np.array(rows.values)
    ends = scale.scale_of(values, rows.places, higher_is_better, best, chance)
    found.append(answers.answer(curve.Fitted(sizes, values, ends), name, notes=_seed_notes(rows),
                                **asked))
  if output is not None:
    write(found, output)
  return found


def questions(at: Sequence[float], target: float | None, cost_per_picture: float | None,
              hours_per_run: float | None, next: bool) -> dict[str, Any]:
  """What is asked, as `answers.answer` takes it.

  Raises:
    ConfigError: a size or a price that is none.
  """
  for name, numbers in (("at", at), ("cost_per_picture", [cost_per_picture]),
                        ("hours_per_run", [hours_per_run])):
    for number in numbers:
      if number is not None and not (math.isfinite(number) and number > 0):
        raise ConfigError("flags", f"--{name}={number:g}", "not a size" if name == "at" else
                          "not a price", "a finite number above 0")
  return {"at": at, "target_value": target, "cost_per_picture": cost_per_picture,
          "hours_per_run": hours_per_run, "plan_next": next}


def _seed_notes(rows: curve_file.Rows) -> list[str]:
  seeds: dict[float, set[str]] = {}
  for size, seed in zip(rows.sizes, rows.seeds):
    seeds.setdefault(size, set()).add(seed)
  if len({frozenset(one) for one in seeds.values()}) > 1:
    return ["the seeds differ between sizes: they are taken as independent"]
  return []


def write(forecasts: Sequence[answers.Forecast], folder: str | os.PathLike[str]) -> list[str]:
  """Writes forecast.json, .csv, .png, .svg and .html into a folder; returns their paths."""
  from jft_reps.studies.forecast import drawing
  from jft_reps.studies.report import html

  table = io.StringIO()
  writer = csv.writer(table, lineterminator="\n")
  writer.writerow(["name", "pictures", "factor", "value", "low", "high"])
  for one in forecasts:
    for row in one.predictions:
      # A name that starts like a formula must not become one in a spreadsheet.
      writer.writerow(["'" + one.name if one.name[:1] in "=+-@" and one.name else one.name,
                       *(f"{number:.6g}" for number in dataclasses.astuple(row))])
  pictures = {f"forecast.{form}": data for form, data in drawing.draw(forecasts).items()}
  text = json.dumps([_json(dataclasses.asdict(one)) for one in forecasts], indent=1)
  page = html.forecast_page("Forecast", forecasts, pictures["forecast.png"])
  return whole_files.write_all(folder, {
      "forecast.json": text + "\n", "forecast.csv": table.getvalue(), "forecast.html": page,
      **pictures})


def _json(value: Any) -> Any:
  """JSON knows no infinity: null."""
  if isinstance(value, float) and not math.isfinite(value):
    return None
  if isinstance(value, dict):
    return {key: _json(one) for key, one in value.items()}
  if isinstance(value, (list, tuple)):
    return [_json(one) for one in value]
  return value


def text(forecasts: Sequence[answers.Forecast]) -> str:
  """What the program prints."""
  lines: list[str] = []
  for one in forecasts:
    lines += [f"{one.name or one.word}: {one.sentence}",
              f"  {'pictures':>14} {'times':>7} {'expected':>9}   95 % interval"]
    for row in one.predictions:
      lines.append(f"  {answers.count(row.size):>14} {row.factor:>7.3g} "
                   f"{answers.number(row.value):>9}   {answers.number(row.low)} to "
                   f"{answers.number(row.high)}")
    lines += [f"  {line}" for line in _sentences(one)]
  return "\n".join(lines)


def _sentences(one: answers.Forecast) -> list[str]:
  worth, number = one.doubling, answers.number
  gained = (f"the next doubling gains {number(worth.gain)} ({number(worth.low)} to "
            f"{number(worth.high)})")
  if worth.cost is not None:
    gained += f" and costs {answers.count(worth.cost)}"
    if worth.low > 0:
      gained += f", {answers.count(worth.cost / worth.gain / 100)} for each 0.01"
  if worth.hours is not None:
    gained += f", {number(worth.hours)} hours a run"
  return [gained, *answers.asides(one), *(f"note: {note}" for note in one.notes)]
