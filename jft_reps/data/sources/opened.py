"""What becomes of a source of pictures before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from jft_reps.data.sources import raw
from jft_reps.errors import ConfigError


class Opened(NamedTuple):
  """Pictures as `building.build.build` takes them.

  Attributes:
    read: gives the pictures.
    labels: in class order; None: those that occur.
    about: what else `build` is told.
  """

  read: Callable[[], Iterable[raw.Source]]
  labels: Sequence[str] | None
  about: dict[str, Any]


def about_source(name: str, **more: Any) -> dict[str, Any]:
  """The entries of the manifest that say where pictures come from."""
  return {"metadata": {"source": name, **more}}


def category_ids(
    labels: Sequence[str], names: Sequence[str], ids: Sequence[int] | None
) -> dict[str, Any]:
  """The ids by which COCO knows the classes, for the manifest; nothing where it knows not all."""
  known = dict(zip(names, ids)) if ids else {}
  return {"category_ids": [known[label] for label in labels]} if set(labels) <= set(known) else {}


def several(paths: str) -> list[str]:
  """Paths that are given as one text, with commas."""
  return paths.split(",")


def required(paths: str | None, expected: str) -> list[str]:
  """Those of `--annotations`, without which a source cannot be opened.

  Raises:
    errors.ConfigError: there are none.
  """
  if not paths:
    raise ConfigError("flags", "--annotations", "missing", expected)
  return several(paths)
