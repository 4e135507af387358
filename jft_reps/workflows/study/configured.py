"""The configuration of a run of a study, and training by it.

A run is a configuration with overrides. Keys that begin with `study.` are not the configuration's:

  study.subset…   and how many pictures of which classes: see `records`
  study.contents  checksums of own records by split, so that other ones make another run
  study.…_sha256  of an own file, likewise
  study.test      the split whose numbers count
  study.rate…     and `dev`, `number`: how a learning rate is chosen, see `transfers`
"""

from __future__ import annotations

import copy
import functools
import json
import os
from collections.abc import Callable
from typing import Any

import ml_collections

from jft_reps.studies.plan import Run, assignments
from jft_reps.workflows import configuration, training

_OF_RECORDS = ("records", "train_split", "hierarchy", "hierarchy_format")


def describer() -> Callable[[Run], Any]:
  """What a run does, for its id: its configuration after the overrides, and its settings.

  Of a run that makes records only that part of the configuration counts which they depend on.
  """
  read = functools.cache(lambda reference: configuration.read_config(reference)[0])

  def describe(run: Run) -> Any:
    config, settings = configured(run, "{workdir}", lambda name: copy.deepcopy(read(name)))
    values = {key: value for key, value in config.to_dict().items() if key != "workdir"}
    if run.kind == "records":
      values = {"task": {key: values["task"].get(key) for key in _OF_RECORDS},
                "toy_world": {k: v for k, v in values["toy_world"].items() if k != "processes"}}
    return json.loads(json.dumps([values, settings], default=str))

  return describe


def configured(run: Run, workdir: str | os.PathLike,
               read: Callable[[str], ml_collections.ConfigDict] | None = None
               ) -> tuple[ml_collections.ConfigDict, dict[str, Any]]:
  """The configuration of a run and its settings `study.…`."""
  config = read(run.config) if read else configuration.read_config(run.config)[0]
  settings = {k.removeprefix("study."): v for k, v in run.overrides.items()
              if k.startswith("study.")}
  configuration.override(config, assignments(run))
  return configuration.placed(config, workdir), settings


def train_on(config) -> None:
  """Trains what a cluster, or an attempt before, has not trained to its end."""
  from jft_reps.training.run_directory import directory

  done = directory.RunDirectory(config.workdir).done()
  if done is None or done < config.train.steps:
    training.train(config)
