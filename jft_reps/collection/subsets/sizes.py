"""How large subsets are to be, as a user writes it: `30000`, `10M`, or `0.1` of all."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jft_reps.errors import ConfigError, printable

_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6}


def named(
    name: str | None, split: str, pictures: Sequence[str], shares: Sequence[str]
) -> dict[str, int | float | None]:
  """Sizes by name of the subset: pictures as int, shares as float, None for all.

  Args:
    name: of the subset, or of several before their size; None: that of the set.
    split: the set.
    pictures: numbers, as 30000 or 10M.
    shares: parts of all pictures of the set, as 0.1.

  Raises:
    ConfigError: one cannot be read or stands there twice, both kinds, or no name for all.
  """
  if pictures and shares:
    raise ConfigError("flags", "--share", "given beside --pictures", "one of them")
  sizes: dict[str, int | float] = {text: _number(text) for text in pictures}
  sizes |= {text: _share(text) for text in shares}
  if len(sizes) != len(pictures) + len(shares):
    raise ConfigError("flags", "sizes", ",".join([*pictures, *shares]), "each size once")
  if not sizes:
    if not name:
      raise ConfigError("flags", "--name", "missing", "a name where no size is given")
    return {name: None}
  if len(sizes) == 1:
    return {name or f"{split}_{text}": size for text, size in sizes.items()}
  return {f"{name or split}_{text}": size for text, size in sizes.items()}


def _number(text: str) -> int:
  found = re.fullmatch(r"([0-9]{1,12})([kKM]?)", text)
  if not found:
    raise ConfigError("flags", "--pictures", printable(text), "numbers, as 30000, 300k or 10M")
  return int(found[1]) * _UNITS[found[2]]


def _share(text: str) -> float:
  if not re.fullmatch(r"[0-9]{0,3}(\.[0-9]{1,12})?", text) or not 0 < float(text or 0) <= 1:
    raise ConfigError("flags", "--share", printable(text), "numbers above 0, at most 1, as 0.1")
  return float(text)


def pictures(size: int | float | None, records: int) -> int | None:
  """Number of pictures of a size of `named`, of a set of so many records.

  Raises:
    ConfigError: a share that is not a single picture.
  """
  if not isinstance(size, float):
    return size
  if not (found := round(size * records)):
    raise ConfigError("flags", "--share", f"{size} of {records:,} pictures", "at least one picture")
  return found
