"""Learning curves from a CSV of anybody's: columns pictures, value, and maybe seed, task, arm."""

from __future__ import annotations

import csv
import dataclasses
import os

from jft_reps.errors import DataError, printable
from jft_reps.studies.forecast import scale

REQUIRED, OPTIONAL = ("pictures", "value"), ("seed", "task", "arm")
MOST_ROWS = 1_000_000


@dataclasses.dataclass
class Rows:
  """Rows of one task and arm, and where each stands."""

  sizes: list[float] = dataclasses.field(default_factory=list)
  values: list[float] = dataclasses.field(default_factory=list)
  seeds: list[str] = dataclasses.field(default_factory=list)
  places: list[str] = dataclasses.field(default_factory=list)


def read(path: str | os.PathLike[str]) -> dict[str, Rows]:
  """The curves of a file by task and arm, in the file's order; "" where there is neither.

  Raises:
    DataError: it cannot be read or is no such table, with the line where that shows.
  """
  name, curves = printable(path), dict[str, Rows]()
  try:
    with open(path, encoding="utf-8-sig", newline="") as file:
      table = csv.reader(file, skipinitialspace=True)
      header = [cell.strip().lower() for cell in next(table, [])]
      _check_header(header, name)
      for cells in table:
        if not any(cell.strip() for cell in cells):
          continue
        place = f"{name}:{table.line_num}"
        if len(cells) != len(header):
          raise DataError("curve-row", place, f"{len(cells)} cells", f"{len(header)}")
        row = {key: cell.strip() for key, cell in zip(header, cells)}
        key = ", ".join(scale.label(row[part]) for part in ("task", "arm") if row.get(part))
        rows = curves.setdefault(key, Rows())
        rows.sizes.append(_number(row["pictures"], "pictures", place))
        rows.values.append(_number(row["value"], "value", place))
        rows.seeds.append(row.get("seed", ""))
        rows.places.append(place)
        if len(rows.sizes) > MOST_ROWS:
          raise DataError("curve-rows", place, f"more than {MOST_ROWS:,} rows of one curve",
                          "runs, one a row")
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise DataError("curve-file", name, printable(getattr(error, "strerror", None) or error),
                    "a CSV file in UTF-8") from error
  if not curves:
    raise DataError("curve-empty", name, "no rows", "a row per run below the header",
                    "Write pictures,value and a line for each run.")
  return curves


def _check_header(header: list[str], name: str) -> None:
  expected = f"{','.join(REQUIRED)} and maybe {', '.join(OPTIONAL)}"
  if not header:
    raise DataError("curve-empty", name, "an empty file", f"a header: {expected}")
  missing = [column for column in REQUIRED if column not in header]
  if missing or len(set(header)) < len(header):
    raise DataError("curve-header", f"{name}:1", printable(",".join(header)) or "an empty line",
                    f"columns {expected}", "Rename the columns of size and value, each once.")


def _number(text: str, column: str, place: str) -> float:
  try:
    return float(text)
  except ValueError:
    hint = "Write fractions, or percent without the sign." if text.endswith("%") else ""
    raise DataError("curve-number", place, f"{column} {printable(text, 40)!r}", "a number",
                    hint) from None
