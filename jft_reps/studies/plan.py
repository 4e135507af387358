"""Plans: graphs of runs that share what they can.

A plan is built by plain Python functions that add runs:

  plan = Plan()
  plan.add(Run("pretrain_10k", "experiments/fig4_data_size.py:10k", kind="pretrain"))
  plan.add(Run("coco_10k", "experiments/table2_coco.py:300M", kind="transfer",
               overrides={"init.checkpoint": Output("pretrain_10k")}))

A run's id is the hash of what it does, so that it is made once, whatever it is called and in
however many plans of a work directory it appears. What a run does is its configuration by name and
its overrides; who can read configurations gives a plan `describe`, so that it is what they resolve
to, and an edited configuration makes other runs.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import graphlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jft_reps.errors import ConfigError, printable

# A run is done when it has this file. The keeper, which imports nothing of ours, says it again.
NUMBERS = "numbers.json"


@dataclasses.dataclass(frozen=True)
class Output:
  """What another run leaves behind: its directory, or `path` inside of it.

  As the value of an override it makes that run needed. Of `numbers.json` the ledger has a copy, so
  that it is there even where the directory is gone.
  """

  run: str
  path: str = ""


@dataclasses.dataclass(frozen=True)
class Run:
  """A node of a plan.

  Attributes:
    name: of the node, unique in its plan.
    config: reference to a configuration, `experiments/table2_coco.py:300M,laptop`.
    overrides: value by key of the configuration: what JSON holds, and `Output`s.
    needs: names of runs that have to be done before, beside those in `overrides`.
    kind: what is to be done, `pretrain`, `transfer`, `records`, `evaluate`….
    tags: for selections and the report: size, seed, start, figure…; a tuple is several values.
    cost: seconds that it is expected to take; None: unknown.
    gigabytes: that it is expected to leave on the disk.
  """

  name: str
  config: str
  overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  needs: Sequence[str] = ()
  kind: str = "run"
  tags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  cost: float | None = None
  gigabytes: float = 0.0

  def needed(self) -> list[str]:
    """Names of all runs that this one needs, without repetition."""
    return list(dict.fromkeys([*self.needs, *(o.run for o in _outputs(self.overrides))]))

  def needed_files(self) -> list[str]:
    """Names of those runs of which it needs more than their numbers."""
    outputs = [o.run for o in _outputs(self.overrides) if o.path != NUMBERS]
    return list(dict.fromkeys([*self.needs, *outputs]))

  def matches(self, tags: Mapping[str, Any]) -> bool:
    """Whether it has all these tags; values are compared as text."""
    return all(str(value) in _texts(self.tags.get(key, ())) for key, value in tags.items())


class Plan:
  """Runs by name, in the order in which they were added.

  Args:
    runs: to begin with.
    describe: what a run does, as JSON, given the run with text in place of its `Output`s.
    ids: of these runs by name, where they are known: of a plan that was written down.
  """

  def __init__(self, runs: Iterable[Run] = (), describe: Callable[[Run], Any] | None = None,
               ids: Mapping[str, str] | None = None):
    self._runs: dict[str, Run] = {}
    self._ids: dict[str, str] | None = None
    self._describe = describe or (lambda run: [run.config, run.overrides])
    for run in runs:
      self.add(run)
    if ids is not None:
      self._ids = dict(ids)

  def add(self, run: Run) -> Run:
    """Adds a run; the very same one may come twice.

    Raises:
      ConfigError: another run has its name.
    """
    self._ids = None
    if self._runs.setdefault(run.name, run) != run:
      raise _error(run.name, "two different runs of this name", "a name for each",
                   "Put into the name what differs: size, seed, start.")
    return run

  def __len__(self) -> int:
    return len(self._runs)

  def __iter__(self) -> Iterator[Run]:
    return iter(self._runs.values())

  def __getitem__(self, name: str) -> Run:
    if name not in self._runs:
      raise _error(name, "there is no run of this name", _few(self._runs))
    return self._runs[name]

  def ordered(self) -> list[Run]:
    """All runs, each after what it needs.

    Raises:
      ConfigError: a run needs one that is not there, or, in the end, itself.
    """
    sorter = graphlib.TopologicalSorter({run.name: () for run in self})
    for run in self:
      for name in run.needed():
        if name not in self._runs:
          raise _error(run.name, f"needs {printable(name)}, which is not in the plan",
                       _few(self._runs))
        sorter.add(run.name, name)
    try:
      return [self._runs[name] for name in sorter.static_order()]
    except graphlib.CycleError as error:
      cycle = error.args[1][::-1]  # graphlib goes from what is needed to what needs it
      first = cycle.index(min(cycle))
      cycle = cycle[first:-1] + cycle[:first + 1]
      raise _error(cycle[0], "needs itself: " + " → ".join(cycle),
                   "a graph without cycles") from None

  def ids(self) -> dict[str, str]:
    """Id by name: a hash of its kind, of what it does and of the ids of what it needs.

    Raises:
      ConfigError: as `ordered`; or what it does is nothing that JSON holds.
    """
    if self._ids is not None:
      return dict(self._ids)
    ids: dict[str, str] = {}
    for run in self.ordered():
      told = dataclasses.replace(run, overrides=_replaced(
          run.overrides, lambda o: f"output of {ids[o.run]}: {o.path}"))
      content = [run.kind, self._describe(told), sorted(ids[name] for name in run.needed())]
      try:
        text = json.dumps(content, sort_keys=True, allow_nan=False)
      except (TypeError, ValueError) as error:
        raise _error(run.name, f"an override: {printable(error)}",
                     "text, finite numbers, truth values, lists, Outputs") from error
      ids[run.name] = hashlib.sha256(text.encode()).hexdigest()[:12]
    self._ids = ids
    return dict(ids)

  def select(self, names: Iterable[str] = (), tags: Mapping[str, Any] | None = None) -> Plan:
    """The part with some names (patterns as `coco_*`) or all of some tags, and what it needs.

    Raises:
      ConfigError: a pattern or the tags fit no run.
    """
    wanted: list[str] = []
    for pattern in names:
      fitting = fnmatch.filter(self._runs, pattern)
      if not fitting:
        raise _error(pattern, "no run of this name", _few(self._runs))
      wanted += fitting
    if tags:
      fitting = [run.name for run in self if run.matches(tags)]
      if not fitting:
        raise _error(", ".join(f"{k}={v}" for k, v in tags.items()), "no run has these tags",
                     _few({f"{k}={v}" for run in self for k in run.tags
                           for v in _texts(run.tags[k])}))
      wanted += fitting
    kept: set[str] = set()
    while wanted:
      name = wanted.pop()
      if name not in kept:
        kept.add(name)
        wanted += self[name].needed()
    return Plan((run for run in self if run.name in kept), self._describe)

  def described(self, describe: Callable[[Run], Any]) -> Plan:
    """The same runs with ids by another `describe`."""
    return Plan(self, describe)


def resolved(run: Run, directory: Callable[[str], str | os.PathLike]) -> Run:
  """The run with paths in place of its `Output`s, given the directory of a run by name."""
  place = lambda o: os.path.join(directory(o.run), o.path) if o.path else str(directory(o.run))
  return dataclasses.replace(run, overrides=_replaced(run.overrides, place),
                             needs=tuple(run.needed()))


def assignments(run: Run) -> dict[str, str]:
  """A resolved run's overrides as the text that programs take, by key of the configuration.

  Keys that begin with `study.` are settings of the run itself and no part of its configuration.
  """
  text = lambda value: value if isinstance(value, str) else json.dumps(value)
  return {key: "" if value is None else text(value) for key, value in run.overrides.items()
          if not key.startswith("study.")}


def flags(run: Run) -> list[str]:
  """A resolved run's overrides as arguments of the programs, `--config.train.steps=10`."""
  return [f"--config.{key}={value}" for key, value in assignments(run).items()]


def _outputs(value: Any) -> Iterator[Output]:
  if isinstance(value, Output):
    yield value
  elif isinstance(value, Mapping):
    for each in value.values():
      yield from _outputs(each)
  elif isinstance(value, (list, tuple)):
    for each in value:
      yield from _outputs(each)


def _replaced(value: Any, place: Callable[[Output], Any]) -> Any:
  """`value` with something else in place of each Output."""
  if isinstance(value, Output):
    return place(value)
  if isinstance(value, Mapping):
    return {key: _replaced(each, place) for key, each in value.items()}
  if isinstance(value, (list, tuple)):
    return [_replaced(each, place) for each in value]
  return value


def _texts(value: Any) -> list[str]:
  return [str(v) for v in value] if isinstance(value, (list, tuple, set)) else [str(value)]


def _few(names: Iterable[str]) -> str:
  names = sorted(names)
  return "one of " + ", ".join(names[:12]) + (f" and {len(names) - 12} more" if names[12:] else "")


def _error(where: str, found: str, expected: str, fix: str = "") -> ConfigError:
  return ConfigError("plan", f"run {printable(where)}", found, expected, fix)
