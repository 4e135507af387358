"""From a configuration to the objects it names. Classes below never see the configuration."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import pathlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import ml_collections

from jft_reps.errors import ConfigError, StorageError

_OPTIMIZERS = {"rmsprop": "RMSProp", "momentum": "Momentum"}
_SCHEDULES = {"exponential": "ExponentialDecay", "polynomial": "Polynomial",
              "piecewise": "PiecewiseConstant"}


def read_config(argument: str) -> tuple[ml_collections.ConfigDict, types.ModuleType]:
  """The configuration of `experiments/<file>.py[:row,option…]`, and its module.

  Raises:
    ConfigError: no such file, it is no configuration, or it refuses the row.
  """
  path, _, row = str(argument).partition(":")
  file = pathlib.Path(path)
  if not file.is_file():
    raise ConfigError("config", path, "no such file", "experiments/<name>.py[:row,option…]",
                      f"Relative paths start at {pathlib.Path.cwd()}.")
  if file.suffix != ".py":
    raise ConfigError("config", path, "no Python file", "experiments/<name>.py[:row,option…]")
  spec = importlib.util.spec_from_file_location(f"experiment_{file.stem}", file)
  module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses ask there
  beside = str(file.resolve().parents[1])  # a configuration may build on another of its folder
  sys.path.insert(0, beside)
  try:
    spec.loader.exec_module(module)
  except SyntaxError as e:
    raise ConfigError("config", f"{e.filename}:{e.lineno}", e.msg, "Python") from e
  finally:
    sys.path.remove(beside)
  if not hasattr(module, "get_config"):
    raise ConfigError("config", path, "no get_config", "a function get_config(row)",
                      "Take a file of experiments/ as a pattern.")
  try:
    return module.get_config(row), module
  except ValueError as e:
    raise ConfigError("config", path, str(e), fix="Rows and options follow a colon.") from e


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


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Leaves of a configuration by dotted key."""
  leaves: dict[str, Any] = {}
  for key, value in config.items():
    if isinstance(value, (ml_collections.ConfigDict, dict)):
      leaves |= flat(value, f"{prefix}{key}.")
    else:
      leaves[prefix + key] = value
  return leaves


def task(config: ml_collections.ConfigDict, source: Any = None) -> Any:
  """The task that `config.task.name` names: a module of `jft_reps.tasks` with `create`.

  Args:
    config: whose `task` holds the arguments of `create`.
    source: `models.pretrained.source.Source` of the weights it starts from or goes on with; what
      they prescribe fills what the configuration leaves open (None).

  Raises:
    ConfigError: the configuration says otherwise than the weights.
  """
  arguments = config.task.to_dict()
  name = arguments.pop("name")
  network = arguments.get("backbone", {})
  if source is not None:
    network |= _prescribed(network, source)
  from jft_reps.tasks.backbone import Backbone

  arguments["backbone"] = _call(Backbone, network, "config.task.backbone")
  path, create = f"jft_reps.tasks.{name}", None
  try:
    create = getattr(importlib.import_module(path), "create", None)
  except ModuleNotFoundError as e:
    if not path.startswith(e.name):
      raise  # the task is there, and what it imports is not
  if create is None:
    raise ConfigError("task", "config.task.name", repr(name), "a task of jft_reps.tasks")
  return _call(create, arguments, f"config.task ({name})")


def _prescribed(arguments: Mapping[str, Any], source: Any) -> dict[str, Any]:
  """The network and the preprocessing of the weights, where the configuration leaves them open."""
  wanted = {**source.network, "preprocessing": source.preprocessing.to_json()}
  for key, value in wanted.items():
    configured = arguments.get(key)
    if configured is None or configured == value:
      continue
    if key not in source.assumed:
      raise ConfigError("init-differs", f"config.task.backbone.{key}", str(configured)[:100],
                        f"{value}, as the {source.format} weights in {source.tensors.path} have",
                        "None takes what the weights prescribe.")
    wanted[key] = configured
  return wanted


def _call(create: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> Any:
  """`create(**arguments)`; what it does not take is the configuration's fault, the rest its own."""
  try:
    inspect.signature(create).bind(**arguments)
  except TypeError as e:
    taken = ", ".join(inspect.signature(create).parameters)
    raise ConfigError("config-key", where, str(e), f"arguments among {taken}") from e
  return create(**arguments)


def options(config: ml_collections.ConfigDict) -> Any:
  """Trainer options from `config.train`, `config.optimizer` and `config.schedule`."""
  from jft_reps.training import optimizers, schedules, trainer

  train = config.train.to_dict()
  optimizer = _named(config.optimizer, _OPTIMIZERS, optimizers, "optimizer")
  schedule_config = config.schedule.to_dict()
  warm_up = schedule_config.pop("warm_up", 0)
  if schedule_config.get("initial", 1.0) <= 0:
    raise ConfigError("config-value", "config.schedule.initial",
                      str(schedule_config["initial"]), "a positive learning rate")
  schedule = _named(ml_collections.ConfigDict(schedule_config), _SCHEDULES, schedules, "schedule")
  if warm_up:
    schedule = schedules.WarmUp(schedule, warm_up)
  return _call(
      trainer.Options, {"optimizer": optimizer, "schedule": schedule, **train}, "config.train")


def probe_options(config: ml_collections.ConfigDict) -> Any:
  """Options of a linear probe from `config.probe`."""
  from jft_reps.tasks import frozen_features

  return _call(frozen_features.Options, config.get("probe", {}), "config.probe")


def _named(config, known: Mapping[str, str], module, what: str) -> Any:
  arguments = config.to_dict()
  name = arguments.pop("name")
  if name not in known:
    raise ConfigError("config-value", f"config.{what}.name", repr(name), " or ".join(known))
  return _call(getattr(module, known[name]), arguments, f"config.{what} ({name})")


def generate(config: ml_collections.ConfigDict, progress=None) -> None:
  """Writes the toy world's records and hierarchy where `config.toy_world` asks for them."""
  import os

  if not config.get("toy_world"):
    return
  from jft_reps.data import toy_records, toy_world

  wanted = config.toy_world.to_dict()
  directory = pathlib.Path(config.task.records)
  splits, processes = wanted.pop("splits"), wanted.pop("processes", os.cpu_count() or 1)
  world = _call(toy_world.ToyWorld, wanted, "config.toy_world")
  try:
    directory.mkdir(parents=True, exist_ok=True)
  except OSError as e:
    raise StorageError("records", directory, e.strerror, "a folder to write to",
                       "Choose another --config.task.records.") from e
  for manifest in sorted(directory.glob("manifest-*.json")):
    if not json.loads(manifest.read_text())["metadata"].get("world"):
      raise ConfigError("toy-world", manifest, "records that are not the toy world's",
                        "a folder of the toy world's records, or an empty one",
                        "A row with `laptop` makes its own; for these, take the row without it.")
  if config.task.get("hierarchy"):
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
