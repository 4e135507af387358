"""Records to what a training picture is made of, and why a record cannot become one.

Records are parsed a chunk at a time, because a dozen small ops for each of them would cost
a tenth of decoding its picture.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from jft_reps.data.records import reasons, schema
from jft_reps.ops import images, picture_headers

CroppedPicture = images.RandomCrop | images.CenterCrop
Tensors = dict[str, tf.Tensor]
Features = dict[str, tf.io.RaggedFeature]
Found = TypeVar("Found")  # a tensor, or a structure of them
_plain_python = tf.autograph.experimental.do_not_convert


def attempt(value: tf.Tensor, function: Callable[[tf.Tensor], Found],
            otherwise: Callable[[tf.Tensor], Found]) -> Found:
  """`function(value)`, or `otherwise(value)` where it fails; a try statement of graph ops."""
  # Ignoring errors is safe here: all that lies upstream is in memory.
  here = tf.data.Dataset.from_tensors(value)
  tried = here.map(_plain_python(function)).ignore_errors()
  fallback = here.map(_plain_python(otherwise))
  return tried.concatenate(fallback).take(1).get_single_element()


def first_problem(problems: list[tuple[tf.Tensor, int]]) -> tf.Tensor:
  """Code of the first true problem or -1, of flags of any one shape."""
  flags = tf.stack([flag for flag, _ in problems], -1)
  codes = tf.constant([code for _, code in problems], tf.int64)
  first = tf.gather(codes, tf.argmax(tf.cast(flags, tf.int32), -1))
  return tf.where(tf.reduce_any(flags, -1), first, -1)


def encoding_problems(
    pictures: tf.Tensor, encoded: tf.Tensor, inconsistent: tf.Tensor
) -> list[tuple[tf.Tensor, int]]:
  """For `first_problem`: what is wrong before a look into the picture.

  Args:
    pictures: `[n]`, number of pictures in a record.
    encoded: `[n]`, the first of them.
    inconsistent: `[n]`, whether lists of a record do not fit together.
  """
  known = _starts_with(encoded, picture_headers.JPEG_MAGIC) | _starts_with(
      encoded, picture_headers.PNG_MAGIC)
  return [
      (tf.equal(pictures, 0), reasons.MISSING_FEATURE),
      ((pictures > 1) | inconsistent, reasons.PARSE_ERROR),
      (tf.equal(tf.strings.length(encoded), 0), reasons.EMPTY_IMAGE),
      (~known, reasons.UNSUPPORTED_FORMAT),
  ]


def _starts_with(values: tf.Tensor, magic: bytes) -> tf.Tensor:
  return tf.equal(tf.strings.substr(values, 0, len(magic)), magic)


def first_of_each(strings: tf.RaggedTensor) -> tf.Tensor:
  """`[n]`: the first string of every row, or an empty one; copies only where it must."""
  lengths, values = strings.row_lengths(), strings.values

  def pick() -> tf.Tensor:
    last = tf.size(values, out_type=tf.int64)
    at = tf.where(lengths > 0, strings.row_starts(), last)
    return tf.gather(tf.concat([values, [""]], 0), at)

  return tf.cond(tf.reduce_all(tf.equal(lengths, 1)), lambda: values, pick)


def outside(ids: tf.RaggedTensor, num_classes: int) -> tf.Tensor:
  """Whether a record has an id that is no class; in int64, before a cast could wrap one."""
  wrong = (ids.values < 0) | (ids.values >= num_classes)
  rows = tf.math.unsorted_segment_sum(tf.cast(wrong, tf.int32), ids.value_rowids(), ids.nrows())
  return rows > 0


def parse_each(serialized: tf.Tensor, features: Features) -> dict[str, tf.RaggedTensor]:
  """`tf.io.parse_example` of n records, `[n]`, with empty ones in the place of the malformed."""

  def parse(records: tf.Tensor) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    parsed = tf.io.parse_example(records, features)
    return {key: (lists.values, lists.row_splits) for key, lists in parsed.items()}

  # Nothing but the op, because every call of `attempt` sets up its functions anew.
  parsed = attempt(serialized, parse, lambda s: parse(_without_malformed(s, features)))
  return {key: tf.RaggedTensor.from_row_splits(*lists, validate=False)
          for key, lists in parsed.items()}


def _without_malformed(serialized: tf.Tensor, features: Features) -> tf.Tensor:
  """Records that do not parse replaced by empty ones, which parse and lack a picture."""

  def test(record: tf.Tensor) -> tf.Tensor:
    parsed = tf.io.parse_example(record[tf.newaxis], features)
    return tf.size(parsed[schema.ENCODED].values) >= 0

  each = tf.data.Dataset.from_tensor_slices(serialized).map(
      _plain_python(lambda r: attempt(r, test, lambda _: tf.constant(False))))
  fine = each.batch(tf.size(serialized, out_type=tf.int64)).get_single_element()
  return tf.where(fine, serialized, "")


def reason_of(parse: Callable[[tf.Tensor], Tensors], serialized: tf.Tensor) -> tf.Tensor:
  """Code (int64 scalar) of why a record fails.

  Args:
    parse: gives `problem` and `encoded` `[1]` of records `[1]`.
    serialized: scalar string.

  Returns:
    A code of `reasons`, `DECODE_ERROR` where nothing else is wrong.
  """

  def header_problem(record: tf.Tensor) -> tf.Tensor:
    encoded = parse(record[tf.newaxis])["encoded"][0]
    many, small, aspect = picture_headers.size_problems(
        picture_headers.header_size(encoded))
    return first_problem([
        (many, reasons.TOO_MANY_PIXELS),
        (small, reasons.TOO_SMALL),
        (aspect, reasons.BAD_ASPECT),
    ])

  code = lambda value: lambda _: tf.constant(value, tf.int64)
  first = attempt(
      serialized, lambda s: parse(s[tf.newaxis])["problem"][0], code(reasons.PARSE_ERROR))
  second = attempt(serialized, header_problem, code(reasons.DECODE_ERROR))
  last = tf.where(second >= 0, second, reasons.DECODE_ERROR)
  return tf.where(first >= 0, first, last)


@dataclasses.dataclass(frozen=True)
class LabelParser:
  """Reads chunks of serialised examples into tensors of fixed shapes.

  Attributes:
    picture: the picture path, from bytes and a draw to uint8 `[height, width, 3]`.
    num_classes: label ids must lie in [0, num_classes).
    max_labels: length k of the padded lists; a picture with more is left out.
    keep_empty: use pictures without labels as all-negative, instead of leaving them out.
    absent: also read which classes were verified as absent.
  """

  picture: CroppedPicture
  num_classes: int
  max_labels: int = 64
  keep_empty: bool = True
  absent: bool = False

  def features(self) -> Features:
    """Parsing specification of what is read; a list that nobody reads costs its parsing."""
    read = schema.picture_features()
    return {**read, schema.ABSENT: read[schema.UNKNOWN]} if self.absent else read

  def parse(self, serialized: tf.Tensor) -> Tensors:
    """Parses n records, `[n]`; never fails.

    Returns:
      `problem` int64 `[n]`, a code of `reasons` or -1; `encoded` and `id` string `[n]`;
      `labels`, `unknown` and, if it is read, `absent` int64 `[n, k]` padded with -1;
      `confidence` float32 `[n, k]`.
    """
    return self._tensors(parse_each(serialized, self.features()))

  def reason(self, serialized: tf.Tensor) -> tf.Tensor:
    """Code (int64 scalar) of why a record fails; `DECODE_ERROR` where nothing else is wrong."""
    parse = lambda record: self._tensors(tf.io.parse_example(record, self.features()))
    return reason_of(parse, serialized)

  def _tensors(self, parsed: dict[str, tf.RaggedTensor]) -> Tensors:
    """What `parse` describes."""
    confidence, count = parsed[schema.CONFIDENCE], parsed[schema.LABEL].row_lengths()
    encoded = first_of_each(parsed[schema.ENCODED])
    shape = [None, self.max_labels]
    ones = tf.sequence_mask(count, self.max_labels, tf.float32)
    stated = confidence.to_tensor(0.0, shape=shape)
    return {
        "problem": self._problem(parsed, encoded),
        "encoded": encoded,
        "id": first_of_each(parsed[schema.SOURCE_ID]),
        **{name: parsed[key].to_tensor(-1, shape=shape) for name, key in self._lists.items()},
        "confidence": tf.where(confidence.row_lengths()[:, tf.newaxis] > 0, stated, ones),
    }

  @property
  def _lists(self) -> dict[str, str]:
    """Features that hold class indices, by the name of their tensor."""
    lists = {"labels": schema.LABEL, "unknown": schema.UNKNOWN}
    return {**lists, "absent": schema.ABSENT} if self.absent else lists

  def _problem(self, parsed: dict[str, tf.RaggedTensor], encoded: tf.Tensor) -> tf.Tensor:
    """Code `[n]` of the first problem that needs no look into the picture, or -1."""
    lists = [parsed[key] for key in self._lists.values()]
    pictures, count = parsed[schema.ENCODED].row_lengths(), lists[0].row_lengths()
    stated = parsed[schema.CONFIDENCE].row_lengths()
    longest = functools.reduce(tf.maximum, [ids.row_lengths() for ids in lists])
    wrong = functools.reduce(tf.logical_or, [outside(ids, self.num_classes) for ids in lists])
    inconsistent = (stated > 0) & tf.not_equal(stated, count)
    empty = tf.equal(count, 0) if not self.keep_empty else tf.zeros_like(inconsistent)
    return first_problem([
        *encoding_problems(pictures, encoded, inconsistent),
        (wrong, reasons.LABEL_OUT_OF_RANGE),
        (longest > self.max_labels, reasons.TOO_MANY_LABELS),
        (empty, reasons.EMPTY_LABELS),
    ])
