"""From a configuration to the objects it names. Classes below never see the configuration."""

from __future__ import annotations

import importlib
import json
import pathlib
import types
from collections.abc import Mapping
from typing import Any

import ml_collections

from jft_reps.errors import ConfigError

_OPTIMIZERS = {"rmsprop": "RMSProp", "momentum": "Momentum"}
_SCHEDULES = {"exponential": "ExponentialDecay", "polynomial": "Polynomial",
              "piecewise": "PiecewiseConstant"}


def read_config(argument: str) -> tuple[ml_collections.ConfigDict, types.ModuleType]:
  """The configuration of `experiments/<file>.py[:row,option…]`, and its module.

  Raises:
    ConfigError: no such file, or the file refuses the row.
  """
  path, _, row = str(argument).partition(":")
  file = pathlib.Path(path)
  if file.suffix != ".py" or not file.is_file():
    raise ConfigError("config", path, "no such file", "experiments/<name>.py[:row,option…]")
  spec = importlib.util.spec_from_file_location(f"experiment_{file.stem}", file)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  try:
    return module.get_config(row), module
  except ValueError as e:
    raise ConfigError("config", argument, str(e), "a row of this file", "See its docstring.") from e


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
    node[last] = _parse(key, text, node.get(last))


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
      value = [v if not v.lstrip("-").isdigit() else int(v) for v in text.split(",") if v]
    return tuple(value)
  if isinstance(old, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
    value = float(value)
  if isinstance(old, int) and isinstance(value, float) and value.is_integer():
    value = int(value)
  if type(value) is not type(old) or value != value:
    raise ConfigError("config-type", f"--config.{key}", repr(text), type(old).__name__)
  return value


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Leaves of a configuration by dotted key."""
  leaves: dict[str, Any] = {}
  for key, value in config.items():
    if isinstance(value, (ml_collections.ConfigDict, dict)):
      leaves |= flat(value, f"{prefix}{key}.")
    else:
      leaves[prefix + key] = value
  return leaves


def task(config: ml_collections.ConfigDict) -> Any:
  """The task that `config.task.name` names: a module of `jft_reps.tasks` with `create`."""
  arguments = config.task.to_dict()
  name = arguments.pop("name")
  try:
    module = importlib.import_module(f"jft_reps.tasks.{name}")
  except ModuleNotFoundError as e:
    raise ConfigError("task", "config.task.name", repr(name), "a module of jft_reps.tasks") from e
  try:
    return module.create(**arguments)
  except TypeError as e:
    raise ConfigError("task", f"config.task ({name})", str(e), "arguments the task takes") from e


def options(config: ml_collections.ConfigDict) -> Any:
  """Trainer options from `config.train`, `config.optimizer` and `config.schedule`."""
  from jft_reps.training import optimizers, schedules, trainer

  train = config.train.to_dict()
  for name in ("steps", "checkpoint_every", "log_every", "keep"):
    if name in train and train[name] < 1:
      raise ConfigError("config-value", f"config.train.{name}", str(train[name]), "at least 1")
  optimizer = _named(config.optimizer, _OPTIMIZERS, optimizers, "optimizer")
  schedule_config = config.schedule.to_dict()
  warm_up = schedule_config.pop("warm_up", 0)
  if schedule_config.get("initial", 1.0) <= 0:
    raise ConfigError("config-value", "config.schedule.initial",
                      str(schedule_config["initial"]), "a positive learning rate")
  schedule = _named(ml_collections.ConfigDict(schedule_config), _SCHEDULES, schedules, "schedule")
  if warm_up:
    schedule = schedules.WarmUp(schedule, warm_up)
  return trainer.Options(optimizer=optimizer, schedule=schedule, **train)


def _named(config, known: Mapping[str, str], module, what: str) -> Any:
  arguments = config.to_dict()
  name = arguments.pop("name")
  if name not in known:
    raise ConfigError("config-value", f"config.{what}.name", repr(name), " or ".join(known))
  try:
    return getattr(module, known[name])(**arguments)
  except TypeError as e:
    raise ConfigError("config-key", f"config.{what}", str(e), f"arguments of {known[name]}") from e


def generate(config: ml_collections.ConfigDict, progress=None) -> None:
  """Writes the toy world's records and hierarchy where `config.toy_world` asks for them."""
  import os

  if not config.get("toy_world"):
    return
  from jft_reps.data import toy_records, toy_world

  wanted = config.toy_world.to_dict()
  directory = pathlib.Path(config.task.records)
  splits, processes = wanted.pop("splits"), wanted.pop("processes", os.cpu_count() or 1)
  world = toy_world.ToyWorld(**wanted)
  directory.mkdir(parents=True, exist_ok=True)
  world.write_hierarchy(directory / "hierarchy.csv")
  for split, (count, shards) in splits.items():
    manifest = directory / f"manifest-{split}.json"
    if manifest.exists():
      stored = json.loads(manifest.read_text())["metadata"].get("world")
      if stored != world.arguments:
        raise ConfigError("toy-world", manifest, f"pictures of {stored}", str(world.arguments),
                          "Choose another directory, or remove these records.")
    else:
      toy_records.write_records(world, directory, split, 0, count, shards, processes=processes,
                                progress=progress)
