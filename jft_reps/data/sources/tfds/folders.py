"""Finds the folder of a data set that TensorFlow Datasets has prepared, and runs none of its code.

A prepared set lies in `DATA_DIR/name[/config]/version` with its features as `features.json`. TFDS
imports whatever module that file names, so the names are held against TFDS's own first.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from jft_reps import errors

FEATURES = "features.json"
_SPEC = re.compile(r"([A-Za-z]\w*)(?:/(\w[\w+.=-]*))?(?::(\d+\.\d+\.\d+))?", re.ASCII)
_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
_CLASS_KEYS = ("type", "pythonClassName", "python_class_name")
_LISTED = 20


class Prepared(NamedTuple):
  """A prepared data set.

  Attributes:
    name: of the builder.
    config: of the builder, or an empty string.
    version: three numbers.
    path: the folder with the records and `features.json`.
  """

  name: str
  config: str
  version: tuple[int, ...]
  path: str

  def __str__(self) -> str:
    config = f"/{self.config}" if self.config else ""
    return f"{self.name}{config}:{'.'.join(map(str, self.version))}"


def _folders(path: str) -> list[str]:
  try:
    return sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
  except OSError:
    return []


def _versions(name: str, config: str, path: str) -> Iterator[Prepared]:
  for folder in _folders(path):
    inside = os.path.join(path, folder)
    if _VERSION.fullmatch(folder) and os.path.isfile(os.path.join(inside, FEATURES)):
      yield Prepared(name, config, tuple(map(int, folder.split("."))), inside)


def prepared(data_dir: str | os.PathLike, name: str) -> list[Prepared]:
  """All configs and versions of one data set, the newest version of a config last."""
  base = os.path.join(os.fspath(data_dir), name)
  found = list(_versions(name, "", base))
  for config in _folders(base):
    found += _versions(name, config, os.path.join(base, config))
  return sorted(found)


def _listed(found: list[Prepared]) -> str:
  more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
  return (", ".join(str(f) for f in found[:_LISTED]) or "nothing") + more


def find(spec: str, data_dir: str | os.PathLike) -> Prepared:
  """The prepared data set of `name[/config][:version]`, the newest version where none is given.

  Raises:
    errors.DataError: the name is no such name (paths and community namespaces are none), the set
      is not prepared in `data_dir`, or several configs are and none is given.
  """
  data_dir = os.path.expanduser(os.fspath(data_dir))
  match = _SPEC.fullmatch(spec)
  if match is None:
    raise errors.DataError(
        "tfds-name", f"tfds:{errors.printable(spec)}", "no name of a data set",
        "name[/config][:version] such as cifar100 or imagenet_resized/64x64:0.1.0",
        "Scripts and community namespaces are not run; prepare the set with TFDS first.",
    )
  name, config, version = match.groups()
  there = prepared(data_dir, name)
  fitting = [f for f in there if config in (None, f.config)
             and version in (None, ".".join(map(str, f.version)))]
  if not fitting:
    raise _missing(spec, data_dir, name, config, there)
  if len({f.config for f in fitting}) > 1:
    raise errors.DataError(
        "tfds-config", data_dir, f"several configs of {name}: {_listed(fitting)}", "one of them",
        f"Write it as tfds:{name}/CONFIG.",
    )
  return fitting[-1]


def _missing(
    spec: str, data_dir: str, name: str, config: str | None, there: list[Prepared]
) -> errors.DataError:
  """The error that says what is prepared in `data_dir`, and how to prepare what is not."""
  others = there or [f for other in _folders(data_dir) for f in prepared(data_dir, other)]
  found = f"{spec} is not prepared there, but {_listed(others)}"
  if not os.path.isdir(data_dir):
    found = "no such folder"
  full = f"{name}/{config}" if config else name
  return errors.DataError(
      "tfds-missing", data_dir, found, f"{full}/VERSION/{FEATURES}",
      f"Nothing is downloaded here; prepare it with: python -c \"import tensorflow_datasets as t; "
      f"t.builder('{full}', data_dir='{data_dir}').download_and_prepare()\"",
  )


def check_features(path: str) -> None:
  """Refuses a folder whose `features.json` would make TFDS import a module that is not its own.

  Raises:
    errors.DataError: the file is unreadable, no JSON, or names such a module.
  """
  file = os.path.join(path, FEATURES)
  try:
    with open(file, encoding="utf-8") as opened:
      named = list(_class_names(json.load(opened)))
  except (OSError, ValueError, RecursionError) as error:
    raise errors.DataError(
        "tfds-features", file, errors.printable(error), "the JSON that TFDS writes",
        "Prepare the set again.") from None
  for name in named:
    if not name.startswith("tensorflow_datasets."):
      raise errors.DataError(
          "tfds-features", file, f"a feature of class {errors.printable(name)}",
          "features of TFDS itself; code of others is not imported",
          "Build from a folder or a list of the pictures instead.",
      )


def _class_names(value: Any) -> Iterator[str]:
  """Every name of a Python class in the JSON of features."""
  if isinstance(value, list):
    for item in value:
      yield from _class_names(item)
  elif isinstance(value, dict):
    for key, item in value.items():
      if key in _CLASS_KEYS and isinstance(item, str):
        yield item
      yield from _class_names(item)
