"""Examples without TensorFlow are those of TensorFlow, whole and damaged."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from google.protobuf import message

from jft_reps.data.records import example, schema

_CASES = ({}, {"a": [1, -2, 2**62]}, {"b/c": [b"", b"\xff" * 300], "a": [0.5, -1e30], "ü": []})


def _message(module, features):
  feature = {}
  for key, values in features.items():
    kind, name = next(((k, n) for t, k, n in (
        (int, "Int64List", "int64_list"), (float, "FloatList", "float_list"),
        (bytes, "BytesList", "bytes_list")) if values and isinstance(values[0], t)), ("", ""))
    feature[key] = module.Feature(**{name: getattr(module, kind)(value=values)} if kind else {})
  return module.Example(features=module.Features(feature=feature))


def test_bytes_are_tensorflows():
  for features in _CASES:
    ours, theirs = _message(example, features), _message(tf.train, features)
    data = theirs.SerializeToString(deterministic=True)
    assert ours.SerializeToString(deterministic=True) == data
    assert example.Example.FromString(data) == ours


def test_damaged_bytes_are_refused_as_by_tensorflow():
  good = schema.encode("p", b"\xff\xd8\xff", "jpeg", 3, 4, [1, 300], [0.5, 1.0])
  draw, refused = np.random.default_rng(0), 0
  for _ in range(1000):
    data = bytearray(good)
    data[draw.integers(len(data))] = draw.integers(256)
    data = bytes(data[:draw.integers(1, len(data))] if draw.random() < 0.3 else data)
    found = []
    for kind in (example.Example, tf.train.Example):
      try:
        found.append(kind.FromString(data).SerializeToString(deterministic=True))
      except message.DecodeError:
        found.append(None)
    assert found[0] == found[1]
    refused += found[0] is None
  assert 100 < refused < 900
