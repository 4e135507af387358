"""The variables of a model by path, as checkpoints and optimizer slots name them."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

BACKBONE = "backbone/"  # what the paths of a network's variables start with in a checkpoint
_read = threading.local()


@contextlib.contextmanager
def already_read(variables: Sequence[Any], values: Sequence[tf.Tensor]) -> Iterator[None]:
  """Inside, layers compute with `values` where they would read `variables`.

  A worker fetches many small variables of a server in one message, and differentiates with
  respect to what it fetched.
  """
  previous = getattr(_read, "values", {})
  _read.values = {**previous, **{id(v): value for v, value in zip(variables, values)}}
  try:
    yield
  finally:
    _read.values = previous


def value(variable: Any) -> Any:
  """What `already_read` says of a variable, else the variable itself."""
  return getattr(_read, "values", {}).get(id(variable), variable)


@dataclasses.dataclass(frozen=True, eq=False)
class Slices:
  """One tensor that lives as several variables, cut along one axis.

  Attributes:
    full_shape: shape of the whole tensor.
    axis: the axis along which it is cut.
    parts: the variables in order; their sizes on `axis` add up to the whole.
  """

  full_shape: tuple[int, ...]
  axis: int
  parts: tuple[tf.Variable, ...]

  def assign(self, value: np.ndarray) -> None:
    """Gives each part its own of the whole tensor."""
    ends = np.cumsum([part.shape[self.axis] for part in self.parts])
    for part, piece in zip(self.parts, np.split(value, ends[:-1], self.axis)):
      part.assign(piece)


def named_variables(module: tf.Module) -> dict[str, tf.Variable | Slices]:
  """Every variable of a module once, keyed by its path of public attributes.

  Paths read like `conv2/unit_1/conv1/kernel`; elements of lists are named by index, of dicts by
  key. Order is that of definition. A variable reachable twice keeps its first path, and
  the parts of a `Slices` appear only as that.

  Raises:
    ValueError: the module owns variables that no public attribute leads to; a checkpoint
      by path would lose them.
  """
  found: dict[str, tf.Variable | Slices] = {}
  seen: set[int] = set()

  def walk(node: Any, path: tuple[str, ...]) -> None:
    if id(node) in seen:
      return
    if isinstance(node, tf.Variable | Slices):
      found["/".join(path)] = node
      seen.update(id(part) for part in getattr(node, "parts", ()))
      children: Mapping[Any, Any] = {}
    elif isinstance(node, tf.Module):
      children = {key: child for key, child in vars(node).items() if not key.startswith("_")}
    elif isinstance(node, Mapping):
      children = node
    elif isinstance(node, list | tuple):
      children = dict(enumerate(node))
    else:
      return
    seen.add(id(node))
    for key, child in children.items():
      walk(child, (*path, str(key)))

  walk(module, ())
  lost = [variable.name for variable in module.variables if id(variable) not in seen]
  if lost:
    raise ValueError(f"no public attribute leads to {len(lost)} variables: {lost[:5]}")
  return found


def trainable_variables(module: tf.Module) -> dict[str, tf.Variable | Slices]:
  """Those of `named_variables` that a gradient step changes."""
  return {path: item for path, item in named_variables(module).items()
          if (item.parts[0] if isinstance(item, Slices) else item).trainable}
