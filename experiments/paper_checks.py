"""What a configuration of `paper.py` must fulfil, so that a study does not fail hours later."""

from __future__ import annotations

import os

import ml_collections

_PROTOCOLS = ("steps", "epochs")


def check(config: ml_collections.ConfigDict) -> None:
  """Holds the values of a plan's configuration against what a study can do.

  Raises:
    ValueError: names the key, what was found and what was expected.
  """
  sizes = config.pictures
  whole = lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0
  if len(sizes) < 2 or not all(map(whole, sizes)) or len(set(sizes)) < len(sizes):
    raise _error("pictures", sizes, "two or more different numbers of pictures")
  if config.fewer_labels_pictures and not whole(config.fewer_labels_pictures):
    raise _error("fewer_labels_pictures", config.fewer_labels_pictures, "a number of pictures")
  for key in ("seeds", "epochs", "clean_pictures"):
    if not whole(config[key]):
      raise _error(key, config[key], "at least 1")
  if config.protocol not in _PROTOCOLS:
    raise _error("protocol", config.protocol, " or ".join(_PROTOCOLS))
  for name, share in config.noise.items():
    if not 0 <= share <= 1:
      raise _error(f"noise.{name}", share, "a share of labels, 0 to 1")
  for key in ("train_split", "evaluation"):
    if not config[key]:
      raise _error(key, config[key], "the name of a split")
  _check_records("", config.data, (config.train_split, config.evaluation))
  _check_records("clean.", config.clean.records, (config.clean.train, config.clean.dev))
  for name, task in config.tasks.items():
    if not all(rate > 0 for rate in task.rates):
      raise _error(f"tasks.{name}.rates", task.rates, "positive learning rates")
    splits = (task.train, task.test, *([task.dev] if len(task.rates) > 1 else []))
    _check_records(f"tasks.{name}.", task.records, splits)


def _check_records(prefix: str, folder: str, splits: tuple[str, ...]) -> None:
  """Whether the splits are in a folder of records, if that is on this machine."""
  if not folder or not os.path.isdir(folder):
    return
  names = sorted(name.removeprefix("manifest-").removesuffix(".json")
                 for name in os.listdir(folder)
                 if name.startswith("manifest-") and name.endswith(".json"))
  for split in splits:
    if split not in names:
      key = prefix + ("records" if prefix else "data")
      raise _error(key, folder, f"a split {split!r}; it has {', '.join(names) or 'none'}")


def _error(key: str, found: object, expected: str) -> ValueError:
  return ValueError(f"--config.{key}={found}; expected {expected}")
