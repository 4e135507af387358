"""Bad records are left out, counted by reason, and stop the run beyond a limit.

Records are guarded a chunk at a time: one parallel call decodes a chunk of records in an
inner dataset whose only upstream is in memory, where ignoring errors is safe, so the
guard's cost of 0.2 ms is shared by the chunk. Which records are absent shows in their
indices; those few are asked for their reason. Order does not depend on parallelism.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from jft_reps.data.records import reasons

Tensors = dict[str, tf.Tensor]
_NOTHING = (-1, -1, -1, -1)
_plain_python = tf.autograph.experimental.do_not_convert


class PicturePath(Protocol):
  """From encoded bytes to pixels."""

  def draw(self, seeds: tf.Tensor) -> tf.Tensor:
    """What is random, a row for each of `seeds`, int64 `[n, 2]`."""

  def decode(self, encoded: tf.Tensor, drawn: tf.Tensor) -> Any:
    """Pixels of one picture, of an element of `encoded` and a row of `draw`; may fail."""


class Parser(Protocol):
  """From serialised examples to tensors."""

  @property
  def picture(self) -> PicturePath:
    """What its `encoded` goes through."""

  def parse(self, serialized: tf.Tensor) -> Tensors:
    """Tensors of n records, never failing: `problem`, a code of `reasons` or -1, `encoded`, …"""

  def reason(self, serialized: tf.Tensor) -> tf.Tensor:
    """Code of why one record fails."""


@dataclasses.dataclass(frozen=True)
class Limits:
  """When to stop: the share of records left out, once enough were seen.

  Attributes:
    fraction: the limit after `after` records.
    after: records.
    early_fraction: the limit after `early_after` records.
    early_after: records.
  """

  fraction: float = 0.01
  after: int = 10_000
  early_fraction: float = 0.5
  early_after: int = 100


def augmentation_seeds(seed: tf.Tensor, epochs: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
  """int64 `[n, 2]`, a function of (seed, epoch, shard, record) alone."""
  # No two alike for fewer than a million epochs, and fewer than 2^32 records of a shard.
  return tf.stack([seed * 1_000_003 + epochs, source[:, 0] * 2**32 + source[:, 1]], 1)


def decode_chunk(parser: Parser, chunk: Tensors, seed: tf.Tensor) -> Tensors:
  """Parses and decodes the records of one chunk, leaving out those that fail.

  Args:
    parser: of the records.
    chunk: an element of `order.chunks`, of n records.
    seed: int64 scalar, of the augmentation.

  Returns:
    What the parser gives, `position`, and what its picture path gives (by name, or as `image`),
    stacked over the m good records; `dropped` int64 `[m + 1, reasons]`, left out before each good
    record and after the last; `quarantined` int64 `[m + 1, 4]`, the latest of those as (reason,
    epoch, shard, record) or -1s.
  """
  count = tf.size(chunk["serialized"], out_type=tf.int64)
  parsed = parser.parse(chunk["serialized"])
  encoded, problem = parsed.pop("encoded"), parsed.pop("problem")
  seeds = augmentation_seeds(seed, chunk["position"][:, 0], chunk["source"])
  images, index = _pictures(parser.picture, encoded, parser.picture.draw(seeds), problem)
  whole = tf.equal(tf.size(index, out_type=tf.int64), count)
  parsed["position"] = chunk["position"]
  good = tf.cond(whole, lambda: parsed, lambda: {k: tf.gather(v, index) for k, v in parsed.items()})

  def none() -> tuple[tf.Tensor, tf.Tensor]:
    return (
        tf.zeros([count + 1, reasons.COUNT], tf.int64),
        tf.tile(tf.constant([_NOTHING], tf.int64), [count + 1, 1]),
    )

  dropped, quarantined = tf.cond(whole, none, lambda: _left_out(parser.reason, chunk, index))
  return {
      **good,
      **(images if isinstance(images, dict) else {"image": images}),
      "dropped": tf.ensure_shape(dropped, [None, reasons.COUNT]),
      "quarantined": tf.ensure_shape(quarantined, [None, 4]),
  }


def _pictures(
    picture: PicturePath, encoded: tf.Tensor, drawn: tf.Tensor, problem: tf.Tensor
) -> tuple[Any, tf.Tensor]:
  """(what `picture.decode` gives, stacked; indices int64 `[m]`) of those that decode."""
  count = tf.size(problem, out_type=tf.int64)

  def decode(index: tf.Tensor, data: tf.Tensor, draw: tf.Tensor, code: tf.Tensor):
    with tf.control_dependencies([tf.debugging.Assert(code < 0, [code])]):
      data = tf.identity(data)
    return picture.decode(data, draw), index

  each = tf.data.Dataset.from_tensor_slices((tf.range(count), encoded, drawn, problem))
  good = each.map(_plain_python(decode)).ignore_errors().batch(count)
  # Where none decodes there is no batch at all: then the empty one behind it is the first.
  empty = tf.nest.map_structure(_empty_like, good.element_spec)
  good = good.concatenate(tf.data.Dataset.from_tensors(empty))
  return good.take(1).get_single_element()


def _left_out(
    reason: Callable[[tf.Tensor], tf.Tensor], chunk: Tensors, index: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """(dropped, quarantined) of `decode_chunk`, where some records did not come through."""
  count = tf.size(chunk["serialized"], out_type=tf.int64)
  used = tf.scatter_nd(index[:, tf.newaxis], tf.ones_like(index), [count])
  bad = tf.where(tf.equal(used, 0))[:, 0]
  serialized = tf.data.Dataset.from_tensor_slices(tf.gather(chunk["serialized"], bad))
  codes = serialized.map(_plain_python(reason)).batch(count).get_single_element()
  slots = tf.searchsorted(index, bad, out_type=tf.int64)
  good = tf.size(index, out_type=tf.int64)
  dropped = tf.math.unsorted_segment_sum(
      tf.one_hot(codes, reasons.COUNT, dtype=tf.int64), slots, good + 1
  )
  latest = tf.math.unsorted_segment_max(tf.range(tf.size(bad)), slots, good + 1)
  epochs = tf.gather(chunk["position"][:, 0], bad)
  line = tf.concat([tf.stack([codes, epochs], 1), tf.gather(chunk["source"], bad)], 1)
  seen = tf.gather(line, tf.maximum(latest, 0))
  quarantined = tf.where(latest[:, tf.newaxis] >= 0, seen, tf.constant([_NOTHING], tf.int64))
  return dropped, quarantined


def _empty_like(spec: tf.TensorSpec) -> tf.Tensor:
  """No rows of `spec`; sides of a size that differs between chunks are 0."""
  value = tf.raw_ops.OptionalNone() if spec.dtype == tf.variant else tf.zeros([], spec.dtype)
  return tf.fill([0, *(side or 0 for side in spec.shape[1:])], value)


def _text(dropped: tf.Tensor) -> tf.Tensor:
  """`decode_error 2, too_small 1` in the graph."""
  kinds = tf.where(dropped > 0)[:, 0]
  names = tf.gather(tf.constant(reasons.NAMES), kinds)
  numbers = tf.strings.as_string(tf.gather(dropped, kinds))
  return tf.strings.reduce_join(tf.strings.join([names, numbers], " "), separator=", ")


def _check(
    limits: Limits, seen: tf.Tensor, dropped: tf.Tensor, barren: tf.Tensor, most_barren: int
) -> tf.Operation:
  """Fails beyond the limits, with the counts by reason; costs next to nothing within them."""
  lost = tf.reduce_sum(dropped)
  share = tf.cast(lost, tf.float64)
  total = tf.cast(seen, tf.float64)
  fine = (seen < limits.after) | (share <= limits.fraction * total)
  fine &= (seen < limits.early_after) | (share <= limits.early_fraction * total)
  fine &= barren < most_barren

  def fail() -> tf.Tensor:
    message = tf.strings.join([
        "too many bad records: left out ", tf.strings.as_string(lost), " of ",
        tf.strings.as_string(seen), " (", _text(dropped), "), the last ",
        tf.strings.as_string(barren), " in a row; expected at most ",
        f"{limits.fraction:.2%} after {limits.after} records, {limits.early_fraction:.0%} "
        f"after {limits.early_after}, and no whole epoch without a usable one",
    ])
    with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
      return tf.constant(False)

  return tf.cond(fine, lambda: tf.constant(True), fail)


def count_and_carry(chunks: tf.data.Dataset, limits: Limits, records: int) -> tf.data.Dataset:
  """Gives every example what was left out before it, across chunks, and holds the limits.

  Args:
    chunks: of `decode_chunk`.
    limits: when to stop.
    records: of the whole set; as many in a row left out mean that none is usable.

  Returns:
    Chunks of at least one example, `dropped` and `quarantined` now one row per example.
  """

  def step(state, chunk: Tensors):
    seen, total, barren, carry, latest = state
    dropped, quarantined = chunk["dropped"], chunk["quarantined"]
    good = tf.shape(chunk["position"], tf.int64)[0]
    tail = tf.reduce_sum(dropped[-1])
    before = tf.concat([dropped[:1] + carry, dropped[1:]], 0)
    first = tf.where(quarantined[:1, :1] >= 0, quarantined[:1], latest)
    lines = tf.concat([first, quarantined[1:]], 0)
    total += tf.reduce_sum(dropped, 0)
    seen += good + tf.reduce_sum(dropped)
    barren = tf.where(good > 0, tail, barren + tail)
    with tf.control_dependencies([_check(limits, seen, total, barren, records)]):
      state = (tf.identity(seen), total, barren, before[-1], lines[-1:])
    return state, {**chunk, "dropped": before[:good], "quarantined": lines[:good]}

  zero = tf.constant(0, tf.int64)
  none = tf.zeros([reasons.COUNT], tf.int64)
  start = (zero, none, zero, none, tf.constant([_NOTHING], tf.int64))
  counted = chunks.scan(start, _plain_python(step))
  return counted.filter(
      _plain_python(lambda chunk: tf.shape(chunk["position"])[0] > 0)
  )


def with_tail(chunks: tf.data.Dataset) -> tf.data.Dataset:
  """Counts what is left out at the very end of a finite dataset with its last example.

  Elsewhere a record that is left out is counted with the next example; after the last
  there is none. So every chunk is held back until the next one with examples arrives.
  """
  spec = chunks.element_spec
  nothing = {k: _empty_like(s) for k, s in spec.items()}
  nothing["dropped"] = tf.zeros([1, reasons.COUNT], tf.int64)
  nothing["quarantined"] = tf.constant([_NOTHING], tf.int64)
  end = tf.data.Dataset.from_tensors(nothing)

  def merged(held: Tensors, chunk: Tensors) -> Tensors:
    rows = chunk["quarantined"]
    line = tf.where(rows[:1, :1] >= 0, rows[:1], held["quarantined"][-1:])
    dropped = tf.concat([held["dropped"][:-1], held["dropped"][-1:] + chunk["dropped"][:1]], 0)
    lines = tf.concat([held["quarantined"][:-1], line], 0)
    return {**held, "dropped": dropped, "quarantined": lines}

  def closed(held: Tensors) -> Tensors:
    """The last two rows of the counts as one, in the place of the last example."""
    dropped, lines = held["dropped"], held["quarantined"]
    line = tf.where(lines[-1:, :1] >= 0, lines[-1:], lines[-2:-1])
    both = tf.reduce_sum(dropped[-2:], 0, keepdims=True)
    return {
        **held,
        "dropped": tf.concat([dropped[:-2], both, tf.zeros_like(both)], 0),
        "quarantined": tf.concat([lines[:-2], line, nothing["quarantined"]], 0),
    }

  def step(held: Tensors, chunk: Tensors):
    examples = tf.shape(chunk["position"])[0] > 0
    last = ~examples & tf.equal(tf.reduce_sum(chunk["dropped"]), 0)
    finish = last & (tf.shape(held["position"])[0] > 0)
    keep = lambda: (chunk, held)
    merge = lambda: (merged(held, chunk), dict(nothing))
    close = lambda: (dict(nothing), closed(held))
    return tf.case([(finish, close), (examples | last, keep)], default=merge)

  return chunks.concatenate(end).scan(nothing, _plain_python(step))
