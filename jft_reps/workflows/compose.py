"""From a configuration to the objects it names. Classes below never see the configuration."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import ml_collections

from jft_reps.errors import ConfigError

if TYPE_CHECKING:
  from jft_reps.models.pretrained.source import WeightSource


def task(config: ml_collections.ConfigDict, source: WeightSource | None = None) -> Any:
  """The task that `config.task.name` names: a module of `jft_reps.tasks` with `create`.

  Args:
    config: whose `task` holds the arguments of `create`.
    source: of the weights it starts from or goes on with; what they prescribe fills what the
      configuration leaves open (None).

  Raises:
    ConfigError: the configuration says otherwise than the weights.
  """
  arguments = config.task.to_dict()
  name = arguments.pop("name")
  network = arguments.get("backbone", {})
  if source is not None:
    network |= _prescribed(network, source)
  from jft_reps.tasks.backbone import Backbone

  arguments["backbone"] = call(Backbone, network, "config.task.backbone")
  path, create = f"jft_reps.tasks.{name}", None
  try:
    create = getattr(importlib.import_module(path), "create", None)
  except ModuleNotFoundError as e:
    if e.name is None or not path.startswith(e.name):
      raise  # the task is there, and what it imports is not
  if create is None:
    raise ConfigError("task", "config.task.name", repr(name), "a task of jft_reps.tasks")
  return call(create, arguments, f"config.task ({name})")


def _prescribed(arguments: Mapping[str, Any], source: WeightSource) -> dict[str, Any]:
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


def call(create: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> Any:
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
  optimizer = _named(config.optimizer, optimizers.BY_NAME, "optimizer")
  schedule_config = config.schedule.to_dict()
  warm_up = schedule_config.pop("warm_up", 0)
  if schedule_config.get("initial", 1.0) <= 0:
    raise ConfigError("config-value", "config.schedule.initial",
                      str(schedule_config["initial"]), "a positive learning rate")
  schedule = _named(ml_collections.ConfigDict(schedule_config), schedules.BY_NAME, "schedule")
  if warm_up:
    schedule = schedules.WarmUp(schedule, warm_up)
  return call(trainer.TrainerOptions, {"optimizer": optimizer, "schedule": schedule, **train},
              "config.train")


def probe_options(config: ml_collections.ConfigDict) -> Any:
  """Options of a linear probe from `config.probe`."""
  from jft_reps.tasks.frozen import features

  return call(features.ProbeOptions, config.get("probe", {}), "config.probe")


def _named(config: ml_collections.ConfigDict, known: Mapping[str, Callable[..., Any]],
           what: str) -> Any:
  arguments = config.to_dict()
  name = arguments.pop("name")
  if name not in known:
    raise ConfigError("config-value", f"config.{what}.name", repr(name), " or ".join(known))
  return call(known[name], arguments, f"config.{what} ({name})")

