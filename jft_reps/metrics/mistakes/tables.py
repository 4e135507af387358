"""CSV of what strangers named."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from jft_reps.errors import printable


def csv_text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
  """CSV in which a stranger's text is one cell, and no formula to a spreadsheet; None is empty."""
  out = io.StringIO()
  writer = csv.writer(out, lineterminator="\n")
  writer.writerows([_cell(value) for value in row] for row in (header, *rows))
  return out.getvalue()


def share(part: int, whole: int) -> str:
  """The ratio with four digits, empty where it is undefined."""
  return f"{part / whole:.4f}" if whole else ""


def _cell(value: object) -> str:
  text = "" if value is None else printable(value, 4096)
  return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@") else text
