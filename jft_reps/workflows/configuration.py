"""Configuration files and what flags change in them."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import inspect
import json
import os
import pathlib
import sys
import traceback
import types
from collections.abc import Mapping
from typing import Any

import ml_collections

import jft_reps
from jft_reps.errors import ConfigError, printable

# Beside the library, in a clone and where it is installed.
EXPERIMENTS = pathlib.Path(jft_reps.__file__).resolve().parents[1] / "experiments"


@dataclasses.dataclass(frozen=True)
class Resolved:
  """A configuration with all that is known of it.

  Attributes:
    config: whose values are all there.
    module: the file it comes from; None: it is a run's own.
    row: of that file.
    reasons: why values are what they are, of those that followed from the records.
  """

  config: ml_collections.ConfigDict
  module: types.ModuleType | None = None
  row: str = ""
  reasons: Mapping[str, str] = dataclasses.field(default_factory=dict)

  def lines(self) -> list[str]:
    """Values that followed from the records, and why."""
    leaves = flat(self.config)
    return [f"  {key:36} {printable(leaves[key], 60):>16}  {printable(why, 200)}"
            for key, why in self.reasons.items()]


def resolve(reference: str | os.PathLike[str], overrides: Mapping[str, str] | None = None,
            records: str = "") -> Resolved:
  """The configuration of `<file>.py[:row,option…]` or `<name>[:row,option…]`, as it will run.

  Args:
    reference: the file, which is run, or the name of one of `experiments/`, and its row.
    overrides: text of values by dotted key.
    records: folder of the record sets; "": the configuration's own.

  Raises:
    ConfigError: no such file, row or key, or a value of another type.
    DataError: the configuration follows from records, which are not there.
  """
  config, module = read_config(reference, records)
  override(config, overrides or {})
  reasons: Mapping[str, str] = {}
  if hasattr(module, "complete"):
    try:
      reasons = module.complete(config)
    except ValueError as e:
      raise ConfigError("config", printable(reference), printable(e)) from e
  return Resolved(config, module, str(reference).partition(":")[2], reasons)


def of_run(workdir: str | os.PathLike[str], overrides: Mapping[str, str] | None = None,
           records: str = "") -> Resolved:
  """The configuration that a run was trained with, from its `config.json`, which is only read.

  Args:
    workdir: the run directory.
    overrides: text of values by dotted key.
    records: folder where the record sets are by now; "": where they were.

  Raises:
    ConfigError: there is no run, or its configuration is damaged.
  """
  path = pathlib.Path(workdir) / "config.json"
  try:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("task"), dict):
      raise ValueError("no configuration of a task")
    config = ml_collections.ConfigDict(content)
  except FileNotFoundError:
    there = pathlib.Path(workdir).is_dir()
    raise ConfigError("workdir", printable(workdir), "no config.json in it" if there else
                      "no such folder", "the directory of a run",
                      "Give --workdir of `train`, or --config with the run's configuration."
                      ) from None
  except (OSError, ValueError, RecursionError, TypeError) as e:
    raise ConfigError("workdir", printable(path), printable(e), "the configuration of a run",
                      "Give --config instead.") from e
  if records:
    config.task.records = records
  override(config, overrides or {})
  return Resolved(config)


def differences(config: ml_collections.ConfigDict, workdir: str | os.PathLike[str]) -> list[str]:
  """Where a configuration is another than that a run was trained with: `key=ours, the run: theirs`.

  Empty, too, where the run has none: nothing is known then.
  """
  try:
    before = values(of_run(workdir).config)
  except ConfigError:
    return []
  now = values(config)
  return [f"config.{key}={now.get(key)}, the run: {before.get(key)}"
          for key in sorted({*before, *now} - {"workdir"}) if before.get(key) != now.get(key)]


def read_config(argument: str | os.PathLike[str], records: str = ""
                ) -> tuple[ml_collections.ConfigDict, types.ModuleType]:
  """The configuration of `experiments/<file>.py[:row,option…]`, and its module.

  Args:
    argument: the file or its name, and what its `get_config` is asked for.
    records: folder of the record sets; "": the configuration's own.

  Raises:
    ConfigError: no such file, it is no configuration, or it refuses the row.
  """
  path, _, row = str(argument).partition(":")
  module = load_module(path)
  if not hasattr(module, "get_config"):
    raise ConfigError("config", path, "no get_config", "a function get_config(row)",
                      "Take a file of experiments/ as a pattern.")
  follows = "records" in inspect.signature(module.get_config).parameters
  try:
    config = module.get_config(row, records) if follows else module.get_config(row)
  except ValueError as e:
    raise ConfigError("config", path, str(e), fix="Rows and options follow a colon.") from e
  if records and not follows:
    config.task.records = records
  return config, module


def read_plan_config(argument: str) -> tuple[ml_collections.ConfigDict, types.ModuleType]:
  """The configuration of a study, `<file>.py[:part,…]`, and its module.

  It is that of `plan_config`, where a file has it beside the `get_config` of what is trained.

  Raises:
    ConfigError: as `read_config`.
  """
  path, _, part = str(argument).partition(":")
  module = load_module(path)
  if not hasattr(module, "plan_config"):
    return read_config(argument)
  try:
    return module.plan_config(part), module
  except ValueError as e:
    raise ConfigError("config", path, str(e), fix="Rows and options follow a colon.") from e


def load(reference: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None,
         records: str = "") -> ml_collections.ConfigDict:
  """The configuration of `experiments/<file>.py[:row,option…]`, with single values changed.

  Args:
    reference: the file, which is run, or the name of one of `experiments/` (`own:small`), and what
      its `get_config` is asked for; or a run directory, for the configuration it was trained with.
    overrides: values by dotted key, as they are or as text: `{"train.steps": 10}`.
    records: folder of the record sets; "": the configuration's own.

  Raises:
    ConfigError: no such file, row or key, or a value of another type.
    DataError: the configuration follows from records, which are not there.
  """
  texts = {key: value if isinstance(value, str) else json.dumps(value)
           for key, value in (overrides or {}).items()}
  if os.path.isdir(reference):
    return of_run(reference, texts, records).config
  return resolve(reference, texts, records).config


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
  if file.suffix != ".py" and len(file.parts) == 1 and not file.exists():
    file = EXPERIMENTS / f"{path}.py"  # its name alone
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

  for group in ("optimizer", "schedule"):
    if group in config:
      _rename(config, group, assignments)
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
    if node.get_type(last) is tuple and value is not None:  # it may have been open
      value = tuple(value.split(",")) if isinstance(value, str) else tuple(value)
    try:
      node[last] = value
    except TypeError as e:  # a value that is open has a type all the same
      wanted = node.get_type(last).__name__
      raise ConfigError("config-type", f"--config.{key}", repr(text), wanted) from e


def _rename(config: ml_collections.ConfigDict, group: str, assignments: Mapping[str, str]) -> None:
  """Another optimizer or schedule by name starts from its own defaults and what is given with it.

  The arguments of the one before are not its own; who composes it says which it takes.
  """
  name = assignments.get(f"{group}.name")
  if not name or name == config[group].get("name"):
    return
  given = {key.removeprefix(f"{group}."): None for key in assignments
           if key.startswith(f"{group}.")}
  kept = {"warm_up": config[group].warm_up} if "warm_up" in config[group] else {}
  with config.unlocked():
    config[group] = ml_collections.ConfigDict({**given, **kept, "name": name})


def _parse(key: str, text: str, old: Any) -> Any:
  if text in ("None", "none"):
    return None
  if isinstance(old, str) or (old is None and not text):
    return text or None
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
