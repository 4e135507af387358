"""One record to one training picture, and why a record cannot become one.

`Parser` is the fast way, which fails on a bad record; `Parser.reason` is the slow way,
taken only for records that failed, which says why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from jft_reps.data import reasons, schema
from jft_reps.ops import images

_plain_python = tf.autograph.experimental.do_not_convert
Picture = images.RandomCrop | images.CenterCrop


def _first_problem(problems: list[tuple[tf.Tensor, int]]) -> tf.Tensor:
  """Code of the first true problem, or -1."""
  flags = tf.stack([flag for flag, _ in problems])
  codes = tf.constant([code for _, code in problems], tf.int64)
  return tf.where(tf.reduce_any(flags), codes[tf.argmax(tf.cast(flags, tf.int32))], -1)


def _attempt(value: tf.Tensor, function: Callable, otherwise: int) -> tf.Tensor:
  """`function(value)`, or the code `otherwise` where it fails; needs no Python at run time."""
  # Ignoring errors is safe here: all that lies upstream is one record in memory.
  tried = tf.data.Dataset.from_tensors(value).map(_plain_python(function)).ignore_errors()
  fallback = tf.data.Dataset.from_tensors(tf.constant(otherwise, tf.int64))
  return tried.concatenate(fallback).take(1).get_single_element()


def _padded(values: tf.Tensor, size: int, value: int | float) -> tf.Tensor:
  values = values[:size]
  values = tf.pad(values, [[0, size - tf.size(values)]], constant_values=value)
  return tf.ensure_shape(values, [size])


@dataclasses.dataclass(frozen=True)
class Parser:
  """Turns a serialised example into tensors of fixed shapes.

  Attributes:
    picture: the picture path, from bytes and a seed to uint8 `[height, width, 3]`.
    num_classes: label ids must lie in [0, num_classes).
    max_labels: length k of the padded lists; a picture with more is left out.
    keep_empty: use pictures without labels as all-negative, instead of leaving them out.
  """

  picture: Picture
  num_classes: int
  max_labels: int = 64
  keep_empty: bool = True

  def __call__(self, serialized: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    """`image`, `id`, `labels` and `unknown` padded with -1, `confidence` with 0.

    Args:
      serialized: scalar string.
      seed: int64 `[2]` of the augmentation.

    Raises:
      tf.errors.OpError: when run, on a bad record of any kind.
    """
    parsed = tf.io.parse_single_example(serialized, schema.picture_features())
    problem = self._problem(parsed)
    with tf.control_dependencies([tf.debugging.Assert(problem < 0, [problem])]):
      encoded = tf.identity(parsed[schema.ENCODED][0])
    labels, confidence = parsed[schema.LABEL], parsed[schema.CONFIDENCE]
    confidence = tf.cond(tf.size(confidence) > 0, lambda: confidence, lambda: tf.ones_like(
        labels, tf.float32))
    return {
        "image": self.picture(encoded, seed),
        "id": tf.strings.reduce_join(parsed[schema.SOURCE_ID]),
        "labels": _padded(labels, self.max_labels, -1),
        "confidence": _padded(confidence, self.max_labels, 0.0),
        "unknown": _padded(parsed[schema.UNKNOWN], self.max_labels, -1),
    }

  def reason(self, serialized: tf.Tensor) -> tf.Tensor:
    """Code (int64 scalar) of why a record fails; `DECODE_ERROR` where nothing else is wrong."""

    def content(record: tf.Tensor) -> tf.Tensor:
      return self._problem(tf.io.parse_single_example(record, schema.picture_features()))

    def header(record: tf.Tensor) -> tf.Tensor:
      encoded = tf.io.parse_single_example(record, schema.picture_features())[schema.ENCODED][0]
      many, small, aspect = self.picture.limits.problems(images.header_size(encoded))
      return _first_problem([
          (many, reasons.TOO_MANY_PIXELS),
          (small, reasons.TOO_SMALL),
          (aspect, reasons.BAD_ASPECT),
      ])

    first = _attempt(serialized, content, reasons.PARSE_ERROR)
    second = _attempt(serialized, header, reasons.DECODE_ERROR)
    last = tf.where(second >= 0, second, reasons.DECODE_ERROR)
    return tf.where(first >= 0, first, last)

  def _problem(self, parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """Code of the first problem that needs no look into the picture, or -1."""
    encoded, labels = parsed[schema.ENCODED], parsed[schema.LABEL]
    pictures, count = tf.size(encoded), tf.size(labels)
    confidences = tf.size(parsed[schema.CONFIDENCE])
    first = tf.strings.reduce_join(encoded[:1])
    every = tf.concat([labels, parsed[schema.UNKNOWN]], 0)
    # Compared in int64, before any cast could wrap an id into range.
    outside = tf.reduce_any((every < 0) | (every >= self.num_classes))
    longest = tf.maximum(count, tf.size(parsed[schema.UNKNOWN]))
    uneven = (confidences > 0) & tf.not_equal(confidences, count)
    return _first_problem([
        (tf.equal(pictures, 0), reasons.MISSING_FEATURE),
        ((pictures > 1) | uneven, reasons.PARSE_ERROR),
        (tf.equal(tf.strings.length(first), 0), reasons.EMPTY_IMAGE),
        (~(images.is_jpeg(first) | images.is_png(first)), reasons.UNSUPPORTED_FORMAT),
        (outside, reasons.LABEL_OUT_OF_RANGE),
        (longest > self.max_labels, reasons.TOO_MANY_LABELS),
        (tf.equal(count, 0) & (not self.keep_empty), reasons.EMPTY_LABELS),
    ])
