"""The plan that a Python file makes of its configuration, whole or in part."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from jft_reps.errors import ConfigError
from jft_reps.studies.cluster.machine_hours import Work
from jft_reps.studies.cluster.tasks import Topology
from jft_reps.studies.plan import Plan, Run
from jft_reps.studies.running.stored_plan import PlanSource
from jft_reps.workflows import configuration
from jft_reps.workflows.study import configured


@dataclasses.dataclass(frozen=True)
class Cluster:
  """What the file of a plan says of its runs as jobs of a cluster.

  Attributes:
    topology: tasks of a run that trains.
    work: one picture in training, given a configuration's `task`.
  """

  topology: Callable[[Run], Topology]
  work: Callable[[Mapping[str, Any]], Work]


@dataclasses.dataclass(frozen=True)
class Selection:
  """A plan, or a part of it, with what a study keeps of where it is from.

  Attributes:
    plan: of the runs to make.
    whole: what it is a part of, under the whole configuration.
    source: file, overrides and configuration, for the report.
    cluster: None: it is run here.
  """

  plan: Plan
  whole: Plan
  source: PlanSource
  cluster: Cluster | None = None


def read_plan(reference: str, overrides: Mapping[str, str] | None = None
              ) -> tuple[Plan, types.ModuleType, ConfigDict]:
  """The plan that a module makes of its configuration; and the module and the configuration.

  Args:
    reference: `<file>.py[:part,…]`, a module with `get_config` and `plan`.
    overrides: of the configuration, text by key.

  Raises:
    ConfigError: no such file, it refuses the overrides, or it makes no plan.
  """
  config, module = configuration.read_plan_config(reference)
  configuration.override(config, overrides or {})
  if not hasattr(module, "plan"):
    raise ConfigError("plan", reference, "no function plan(config)", "the file of a study",
                      "Take experiments/paper.py as a pattern.")
  return _made(module, config, reference), module, config


def select(reference: str, overrides: Mapping[str, str] | None = None, names: Sequence[str] = (),
           tags: Mapping[str, str] | None = None) -> Selection:
  """Some runs of a plan, and what they need; all of them where neither names nor tags are given.

  Args:
    reference, overrides: as of `read_plan`.
    names: of runs, * for any text.
    tags: which runs have to have, all of them.

  Raises:
    ConfigError: as `read_plan`; or nothing is of these names or tags.
  """
  plan, module, config = read_plan(reference, overrides)
  config_of_whole = configuration.whole(config, module)
  whole = plan if config_of_whole == config else _made(module, config_of_whole, reference)
  source = PlanSource(reference, overrides or {}, configuration.values(config_of_whole))
  on_cluster = hasattr(module, "on_cluster") and module.on_cluster(config)
  return Selection(plan.select(names, tags) if names or tags else plan, whole, source,
                   Cluster(module.topology, module.work) if on_cluster else None)


def _made(module: types.ModuleType, config: ConfigDict, reference: str) -> Plan:
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
