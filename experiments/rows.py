"""The one reader of `row[,option…]`, which names a configuration of a table or figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ml_collections


def configure(config: ml_collections.ConfigDict, rows: Mapping[str, Mapping[str, Any]],
              options: Mapping[str, Callable[[ml_collections.ConfigDict], None]],
              arg: str) -> ml_collections.ConfigDict:
  """A configuration with the values of a row, and what options make of them.

  Args:
    config: of the paper; it is changed.
    rows: values by dotted key, by row.
    options: what changes the configuration, by name, in the order in which they are applied,
      whatever the order in which they are given.
    arg: the row and its options.

  Raises:
    ValueError: no such row or option.
  """
  row, *chosen = arg.split(",")
  if row not in rows or set(chosen) - set(options):
    raise ValueError(f"{arg!r}: expected {', '.join(rows)}, optionally with {', '.join(options)}")
  with config.unlocked():
    # The row first: an option, such as `laptop`, replaces what a row says of the full size.
    for key, value in rows[row].items():
      config.update_from_flattened_dict({key: value})
    for option, apply in options.items():
      if option in chosen:
        apply(config)
  return config


def put(config: ml_collections.ConfigDict, key: str, value: Any) -> None:
  """Sets a dotted key, whatever type and lock it has."""
  *path, last = key.split(".")
  for part in path:
    config = config[part]
  with config.unlocked(), config.ignore_type():
    config[last] = value


def value(config: ml_collections.ConfigDict, key: str) -> Any:
  """The value of a dotted key."""
  for part in key.split("."):
    config = config[part]
  return config
