"""Configuration files and what flags change in them."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import pathlib
import sys
import traceback
import types
from collections.abc import Mapping
from typing import Any

import ml_collections

from jft_reps.errors import ConfigError, printable


def read_config(argument: str) -> tuple[ml_collections.ConfigDict, types.ModuleType]:
  """The configuration of `experiments/<file>.py[:row,option…]`, and its module.

  Raises:
    ConfigError: no such file, it is no configuration, or it refuses the row.
  """
  path, _, row = str(argument).partition(":")
  module = load_module(path)
  if not hasattr(module, "get_config"):
    raise ConfigError("config", path, "no get_config", "a function get_config(row)",
                      "Take a file of experiments/ as a pattern.")
  try:
    return module.get_config(row), module
  except ValueError as e:
    raise ConfigError("config", path, str(e), fix="Rows and options follow a colon.") from e


def load(reference: str, overrides: Mapping[str, Any] | None = None) -> ml_collections.ConfigDict:
  """The configuration of `experiments/<file>.py[:row,option…]`, with single values changed.

  Args:
    reference: the file, which is run, and what its `get_config` is asked for.
    overrides: values by dotted key, as they are or as text: `{"train.steps": 10}`.

  Raises:
    ConfigError: no such file, row or key, or a value of another type.
  """
  config, _ = read_config(reference)
  override(config, {key: value if isinstance(value, str) else json.dumps(value)
                    for key, value in (overrides or {}).items()})
  return config


def placed(config: ml_collections.ConfigDict,
           workdir: str | os.PathLike | None = None) -> ml_collections.ConfigDict:
  """A copy with its run directory, also in place of `{workdir}` in records and hierarchy.

  Args:
    config: stays as it is.
    workdir: the run directory; None: the one that the configuration has.

  Raises:
    ConfigError: neither names one.
  """
  config = copy.deepcopy(config)
  with config.unlocked():
    config.workdir = os.fspath(workdir) if workdir else config.get("workdir")
  if not config.workdir:
    raise ConfigError("workdir", "workdir", "none", "the run directory")
  for name in ("records", "hierarchy"):
    value = config.task.get(name)
    if isinstance(value, str):
      config.task[name] = value.replace("{workdir}", config.workdir)
  return config


def load_module(path: str | os.PathLike) -> types.ModuleType:
  """The module of a configuration's or a plan's Python file, which is run.

  Raises:
    ConfigError: no such file, or it does not run.
  """
  file = pathlib.Path(path)
  there = os.path.isfile(file)  # false, too, for what can be no path
  if not there or file.suffix != ".py":
    raise ConfigError("config", printable(path), "no Python file" if there else "no such file",
                      "experiments/<name>.py[:row,option…]",
                      f"Relative paths start at {pathlib.Path.cwd()}.")
  spec = importlib.util.spec_from_file_location(f"experiment_{file.stem}", file)
  if spec is None or spec.loader is None:  # not for a file that ends in .py
    raise ConfigError("config", printable(path), "no Python file",
                      "experiments/<name>.py[:row,option…]")
  module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses ask there
  beside = str(file.resolve().parents[1])  # a configuration may build on another of its folder
  sys.path.insert(0, beside)
  try:
    spec.loader.exec_module(module)
  except SyntaxError as e:
    raise ConfigError("config", f"{e.filename}:{e.lineno}", e.msg, "Python") from e
  except Exception as e:
    line = traceback.extract_tb(e.__traceback__)[-1]
    raise ConfigError("config", printable(file), f"{type(e).__name__}: {printable(e)}, at "
                      f"{printable(line.filename)}:{line.lineno}", "Python that runs") from e
  finally:
    sys.path.remove(beside)
  return module


def override(config: ml_collections.ConfigDict, assignments: Mapping[str, str]) -> None:
  """Sets `a.b=value` in a configuration; unknown keys and values of another type raise.

  Raises:
    ConfigError: names the key and the nearest known one.
  """
  import difflib

  for key, text in assignments.items():
    *path, last = key.split(".")
    node = config
    for part in path:
      node = node.get(part) if isinstance(node, ml_collections.ConfigDict) else None
    if not isinstance(node, ml_collections.ConfigDict) or last not in node:
      known = sorted(flat(config))
      near = difflib.get_close_matches(key, known, 1)
      raise ConfigError("config-key", f"--config.{key}", "unknown key",
                        f"one of the configuration's {len(known)} keys",
                        f"Did you mean --config.{near[0]}?" if near else "")
    value = _parse(key, text, node.get(last))
    try:
      node[last] = value
    except TypeError as e:  # a value that is open has a type all the same
      wanted = node.get_type(last).__name__
      raise ConfigError("config-type", f"--config.{key}", repr(text), wanted) from e


def _parse(key: str, text: str, old: Any) -> Any:
  if isinstance(old, str) or (old is None and not text):
    return text or None
  if text in ("None", "none"):
    return None
  try:
    value = json.loads({"True": "true", "False": "false"}.get(text, text))
  except ValueError:
    value = text
  if old is None:
    return value
  if isinstance(old, (tuple, list)):
    if not isinstance(value, list):
      value = [_number(v) for v in text.split(",") if v]
    return tuple(value)
  if isinstance(old, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
    value = float(value)
  if isinstance(old, int) and isinstance(value, float) and value.is_integer():
    value = int(value)
  if isinstance(old, ml_collections.ConfigDict) and isinstance(value, dict):
    return ml_collections.ConfigDict(value)
  if type(value) is not type(old) or value != value:
    raise ConfigError("config-type", f"--config.{key}", repr(text), type(old).__name__)
  return value


def _number(text: str) -> int | float | str:
  """The number that a text is, else the text."""
  for kind in (int, float):
    try:
      return kind(text)
    except ValueError:
      pass
  return text


def whole(config: ml_collections.ConfigDict, module: types.ModuleType) -> ml_collections.ConfigDict:
  """The configuration of what a plan is a part of: `whole(config)`, where its module has it."""
  return module.whole(config) if hasattr(module, "whole") else config


def values(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """What JSON holds of its leaves by dotted key, lists in place of tuples."""
  return json.loads(json.dumps(flat(config), default=str))


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Leaves of a configuration by dotted key."""
  leaves: dict[str, Any] = {}
  for key, value in config.items():
    if isinstance(value, (ml_collections.ConfigDict, dict)):
      leaves |= flat(value, f"{prefix}{key}.")
    else:
      leaves[prefix + key] = value
  return leaves
