"""`build_records --hold_out`: a set is built whole, and then divided in two."""

from __future__ import annotations

import os

from jft_reps import progress
from jft_reps.errors import ConfigError

WHOLE, HELD_OUT = "all", "val"


def check(amount: str | None, split: str) -> tuple[float | int | None, str]:
  """What to hold out, and the name under which the pictures are built.

  Raises:
    ConfigError: no amount, or the split has the name of one of the others.
  """
  if not amount:
    return None, split
  from jft_reps.collection import hold_out

  if split in (WHOLE, HELD_OUT):
    raise ConfigError("flags", "--split", f"{split}, given with --hold_out", "another name",
                      f"{WHOLE} is the whole set, {HELD_OUT} what is held out.")
  return hold_out.parse(amount), WHOLE


def divide(directory: str | os.PathLike[str], amount: float | int, split: str,
           overwrite: bool = False, processes: int = 1) -> list[str]:
  """Divides the set `all` into `split` and `val`; what was done, in words."""
  from jft_reps.collection import hold_out

  return hold_out.hold_out(directory, WHOLE, amount, split, HELD_OUT, overwrite, processes,
                           progress.Progress(None, "pictures compared")).lines()
