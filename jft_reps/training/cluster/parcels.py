"""Small tensors between a worker and one parameter server travel as one.

Each tensor that crosses costs a call, and a ResNet has four small vectors for every kernel: packed,
a step of the quickstart's network needs tens of calls instead of two hundred.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

_SMALL = 16_384  # elements; larger tensors gain nothing and would be copied


def remote(variable: Any) -> bool:
  """Whether a variable lives on a parameter server."""
  return "/job:ps" in variable.device


def _groups(variables: Sequence[Any]) -> list[tuple[str, list[int]]]:
  """Indices of the variables that travel together, by device."""
  groups = collections.defaultdict(list)
  for i, variable in enumerate(variables):
    small = remote(variable) and variable.shape.num_elements() <= _SMALL
    groups[(variable.device, variable.dtype, "small" if small else i)].append(i)
  return [(device, indices) for (device, _, _), indices in groups.items()]


def fetch(variables: Sequence[Any]) -> list[tf.Tensor]:
  """Reads every variable once; the small ones of a server in one message."""
  values: list[Any] = [None] * len(variables)
  for device, indices in _groups(variables):
    if len(indices) == 1:
      values[indices[0]] = tf.identity(variables[indices[0]].read_value())
      continue
    with tf.device(device):
      packed = tf.concat([tf.reshape(variables[i].read_value(), [-1]) for i in indices], 0)
    for i, value in zip(indices, _unpack(packed, [variables[i] for i in indices])):
      values[i] = value
  return values


def pack(tensors: Sequence[tf.Tensor], variables: Sequence[Any]) -> list[Any]:
  """One message per server for the small tensors that go to these variables.

  Returns:
    Messages for `unpack`, made where this is called.
  """
  messages = []
  for device, indices in _groups(variables):
    flat = tensors[indices[0]]
    if len(indices) > 1:
      flat = tf.concat([tf.reshape(tensors[i], [-1]) for i in indices], 0)
    messages.append((device, indices, flat))
  return messages


def unpack(messages: Sequence[Any], variables: Sequence[Any]) -> list[tf.Tensor]:
  """The tensors of `pack` in the order of `variables`, each on its variable's device."""
  tensors: list[Any] = [None] * len(variables)
  for device, indices, flat in messages:
    if len(indices) == 1:
      tensors[indices[0]] = flat
      continue
    with tf.device(device):
      for i, tensor in zip(indices, _unpack(flat, [variables[i] for i in indices])):
        tensors[i] = tensor
  return tensors


def _unpack(flat: tf.Tensor, variables: Sequence[Any]) -> list[tf.Tensor]:
  pieces = tf.split(flat, [v.shape.num_elements() for v in variables])
  return [tf.reshape(piece, v.shape) for piece, v in zip(pieces, variables)]
