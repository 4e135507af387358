"""The plan that a Python file makes of its configuration, whole or in part."""

from __future__ import annotations

from collections.abc import Sequence

from jft_reps.errors import ConfigError
from jft_reps.studies.plan import Plan
from jft_reps.workflows import configuration
from jft_reps.workflows.study import configured


def read_plan(reference: str, overrides: dict[str, str] | None = None):
  """The plan that a module makes of its configuration; and the module and the configuration.

  Raises:
    ConfigError: no such file, or it makes no plan.
  """
  config, module = configuration.read_config(reference)
  configuration.override(config, overrides or {})
  if not hasattr(module, "plan"):
    raise ConfigError("plan", reference, "no function plan(config)", "the file of a study",
                      "Take experiments/paper.py as a pattern.")
  return _made(module, config, reference), module, config


def whole_plan(plan, module, config, reference: str):
  """What a plan is a part of.

  Raises:
    ConfigError: it makes no plan.
  """
  whole = configuration.whole(config, module)
  return plan if whole == config else _made(module, whole, reference)


def selected(plan, names: Sequence[str], tags: Sequence[str]):
  """The part of a plan that the flags name, all of it if they name none."""
  if not names and not tags:
    return plan
  pairs = [tag.partition("=") for tag in tags]
  if not all(equals for _, equals, _ in pairs):
    raise ConfigError("flags", "--tags", ",".join(tags), "tag=value,…")
  return plan.select(names, {tag: value for tag, _, value in pairs})


def _made(module, config, reference: str):
  """The plan of a configuration, with ids of what it resolves to."""
  try:
    plan = module.plan(config)
  except (ValueError, KeyError, AttributeError) as error:
    told = f"{type(error).__name__}: {error}"
    if "; expected " in told:
      raise ConfigError("plan", reference, *told.split("; expected ", 1)) from error
    raise ConfigError("plan", reference, told, "a plan") from error
  if not isinstance(plan, Plan):
    raise ConfigError("plan", reference, type(plan).__name__, "a jft_reps.studies.plan.Plan")
  return plan.described(configured.describer())
