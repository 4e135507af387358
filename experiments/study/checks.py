"""What a configuration of `paper.py` must fulfil, so that a study does not fail hours later.

`check` looks at values alone. `check_files` looks at folders and files too: those of a study that
runs on this machine have to be here, a cluster's may be.
"""

from __future__ import annotations

import os
import pathlib

import ml_collections

from experiments.study.tasks import TASKS
from jft_reps.data.hierarchy import readers
from jft_reps.data.records import manifest

_PROTOCOLS = ("steps", "epochs")
DEPTHS = (14, 26, 50, 101, 152)
# What a development split can choose a rate by, by the task's configuration.
_NUMBERS = {pathlib.Path(task.config).stem: task.numbers for task in TASKS.values()}


def settled(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """The configuration with what follows from its values.

  Raises:
    ValueError: as `check`.
  """
  config = config.copy_and_resolve_references()
  if config.noise.standard is None:
    config.noise.standard = 0.0 if config.data else 0.2
  if config.data and "none" in config.noise:  # labels of own pictures are wrong as they are
    del config.noise["none"]
  check(config)
  config.fewer_labels_pictures = config.fewer_labels_pictures or sorted(config.pictures)[-2]
  return config


def check(config: ml_collections.ConfigDict) -> None:
  """Holds the values of a plan's configuration against what a study can do.

  Raises:
    ValueError: names the key, what was found and what was expected.
  """
  _check_sizes(config)
  for key in ("seeds", "epochs", "clean_pictures"):
    if not _whole(config[key]):
      raise _error(key, config[key], "at least 1")
  if config.more_rates and not _whole(config.more_rates):
    raise _error("more_rates", config.more_rates, "0 or more")
  if config.protocol not in _PROTOCOLS:
    raise _error("protocol", config.protocol, " or ".join(_PROTOCOLS))
  if (config.laptop or config.protocol == "steps") and not _whole(config.steps):
    raise _error("steps", config.steps, "at least 1 step of pre-training")
  for key in ("train_split", "evaluation"):
    if not config[key]:
      raise _error(key, config[key], "the name of a split")
  if config.evaluation == config.train_split:
    raise _error("evaluation", config.evaluation, "another split than --config.train_split")
  if config.hierarchy_format not in readers.FORMATS:
    raise _error("hierarchy_format", config.hierarchy_format,
                 " or ".join(readers.FORMATS))
  for name, share in config.noise.items():
    if not 0 <= share <= 1:
      raise _error(f"noise.{name}", share, "a share of labels, 0 to 1")
  for name, depth in config.depths.items():
    if depth not in DEPTHS:
      raise _error(f"depths.{name}", depth, f"one of {', '.join(map(str, DEPTHS))}")
  _check_different("noise", config.noise)
  _check_different("depths", config.depths)
  for name, task in config.tasks.items():
    _check_task(f"tasks.{name}.", task, config.laptop)


def check_files(config: ml_collections.ConfigDict) -> None:
  """Holds them against the folders and files that they name.

  Raises:
    ValueError: names the key, what was found and what was expected.
  """
  here = config.laptop
  _check_records("data", config.data, (config.train_split, config.evaluation), here)
  clean = config.clean
  _check_records("clean.records", clean.records, (clean.train, clean.dev), here)
  for name, task in config.tasks.items():
    splits = (task.train, task.test, *([task.dev] if len(task.rates) > 1 else []))
    _check_records(f"tasks.{name}.records", task.records, splits, here)
  for key in ("hierarchy", "fewer_labels"):
    if here and config[key] and not os.path.isfile(config[key]):
      raise _error(key, config[key], "a file on this machine")
  if config.data and os.path.isdir(config.data):
    found = manifest.read(config.data, config.train_split).records
    if max(config.pictures) > found:
      raise _error("pictures", config.pictures,
                   f"at most the {found} of {config.train_split!r} in {config.data}")


def _whole(value: object) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_sizes(config: ml_collections.ConfigDict) -> None:
  """Refuses numbers of pictures that no subsets can have."""
  sizes, fewer = config.pictures, config.fewer_labels_pictures
  if len(sizes) < 2 or not all(map(_whole, sizes)) or len(set(sizes)) < len(sizes):
    raise _error("pictures", sizes, "two or more different whole numbers of pictures")
  if fewer and (not _whole(fewer) or fewer > max(sizes)):
    raise _error("fewer_labels_pictures", fewer,
                 f"a whole number of pictures, at most the {max(sizes)} of the largest size")


def _check_different(key: str, values: ml_collections.ConfigDict) -> None:
  """Refuses two names for one value: the runs of both would be the same."""
  if len(set(values.values())) < len(values):
    raise _error(key, values.to_dict(), "a different value for each name")


def _check_task(prefix: str, task: ml_collections.ConfigDict, laptop: bool) -> None:
  """Refuses values by which a task cannot be trained or its rate not be chosen."""
  if not all(isinstance(rate, (int, float)) and rate > 0 for rate in task.rates):
    raise _error(f"{prefix}rates", task.rates, "positive learning rates")
  if laptop and not _whole(task.steps):
    raise _error(f"{prefix}steps", task.steps, "at least 1 step")
  numbers = _NUMBERS.get(pathlib.Path(task.config).stem)
  if numbers and task.number not in numbers:
    raise _error(f"{prefix}number", task.number, " or ".join(numbers))


def _check_records(key: str, folder: str, splits: tuple[str, ...], here: bool) -> None:
  """Whether the splits are in a folder of records, if that has to be or is on this machine."""
  if not folder or (not here and not os.path.isdir(folder)):
    return
  if not os.path.isdir(folder):
    raise _error(key, folder, "a folder of records on this machine")
  names = sorted(name.removeprefix("manifest-").removesuffix(".json")
                 for name in os.listdir(folder)
                 if name.startswith("manifest-") and name.endswith(".json"))
  for split in splits:
    if split not in names:
      raise _error(key, folder, f"a split {split!r}; it has {', '.join(names) or 'none'}")


def _error(key: str, found: object, expected: str) -> ValueError:
  return ValueError(f"--config.{key}={found}; expected {expected}")
