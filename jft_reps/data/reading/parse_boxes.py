"""Records to pictures with their boxes, and why a record cannot become one.

Records are parsed and decoded a chunk at a time, as in `parse_labels`. Pictures of a chunk
differ in size and so cannot be stacked: each travels as a handle, an optional of TensorFlow,
until `one_picture` opens it. Boxes are padded to the longest list of the chunk meanwhile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from jft_reps.data.reading import guarded, parse_labels
from jft_reps.data.records import reasons, schema
from jft_reps.ops import keep_aspect

Tensors = dict[str, tf.Tensor]
# What has one row per box.
_PER_BOX = ("boxes", "classes", "crowd", "difficult", "area")
_DEGENERATE, _AFTER = 0.05, 1000
_plain_python = tf.autograph.experimental.do_not_convert


@dataclasses.dataclass(frozen=True)
class BoxPicture:
  """The picture path of `keep_aspect` with pictures as handles.

  Attributes:
    path: from bytes and a draw to pixels and sizes.
  """

  path: keep_aspect.KeepAspect

  def draw(self, seeds: tf.Tensor) -> tf.Tensor:
    """As of the path."""
    return self.path.draw(seeds)

  def decode(self, encoded: tf.Tensor, mirror: tf.Tensor) -> Tensors:
    """What the path gives, `image` as a handle (variant scalar), and `mirror`."""
    decoded = self.path.decode(encoded, mirror)
    handle = tf.raw_ops.OptionalFromValue(components=[decoded["image"]])
    return {**decoded, "image": handle, "mirror": mirror}


@dataclasses.dataclass(frozen=True)
class BoxParser:
  """Reads chunks of serialised examples with boxes.

  Boxes are clipped to the picture; those that are not finite or have no area then are left out
  and counted. A record whose boxes and labels do not fit together is left out as a whole.

  Attributes:
    picture: the picture path.
    num_classes: object labels must lie in [0, num_classes).
  """

  picture: guarded.PicturePath
  num_classes: int

  def features(self) -> parse_labels.Features:
    """Parsing specification of what is read."""
    unused = (schema.LABEL, schema.CONFIDENCE, schema.UNKNOWN)
    wanted = {**schema.picture_features(), **schema.box_features()}
    return {key: feature for key, feature in wanted.items() if key not in unused}

  def parse(self, serialized: tf.Tensor) -> Tensors:
    """Parses n records, `[n]`; never fails.

    Returns:
      `problem` int64 `[n]`, a code of `reasons` or -1; `encoded` and `id` string `[n]`;
      `boxes` float32 `[n, k, 4]`, normalised and clipped; `classes` int64, `crowd` bool,
      `difficult` bool, `area` float32 (NaN where a record names none) and `kept` bool `[n, k]`,
      false of boxes that are left out and of padding; `dropped_boxes` int64 `[n]`.
    """
    return self.tensors(parse_labels.parse_each(serialized, self.features()))

  def reason(self, serialized: tf.Tensor) -> tf.Tensor:
    """Code (int64 scalar) of why a record fails; `DECODE_ERROR` where nothing else is wrong."""
    parse = lambda record: self.tensors(tf.io.parse_example(record, self.features()))
    return parse_labels.reason_of(parse, serialized)

  def tensors(self, parsed: dict[str, tf.RaggedTensor]) -> Tensors:
    """What `parse` describes."""
    encoded = parse_labels.first_of_each(parsed[schema.ENCODED])
    count = parsed[schema.OBJECT_LABEL].row_lengths()
    shape = tf.stack([tf.size(count, tf.int64), tf.reduce_max(count)])

    def padded(key: str, default: float = 0) -> tf.Tensor:
      values = parsed[key]
      return values.to_tensor(tf.cast(default, values.dtype), shape=shape)

    boxes = tf.stack([padded(side, float("nan")) for side in schema.BOX], -1)
    inside = tf.clip_by_value(boxes, 0.0, 1.0)
    kept = tf.reduce_all(tf.math.is_finite(boxes), -1) & tf.reduce_all(
        inside[..., 2:] > inside[..., :2], -1)
    return {
        "problem": self._problem(parsed, encoded),
        "encoded": encoded,
        "id": parse_labels.first_of_each(parsed[schema.SOURCE_ID]),
        "boxes": inside,
        "classes": padded(schema.OBJECT_LABEL),
        "crowd": padded(schema.OBJECT_CROWD) > 0,
        "difficult": padded(schema.OBJECT_DIFFICULT) > 0,
        "area": padded(schema.OBJECT_AREA, float("nan")),
        "kept": kept,
        "dropped_boxes": count - tf.math.count_nonzero(kept, -1),
    }

  def _problem(self, parsed: dict[str, tf.RaggedTensor], encoded: tf.Tensor) -> tf.Tensor:
    """Code `[n]` of the first problem that needs no look into the picture, or -1."""
    classes = parsed[schema.OBJECT_LABEL]
    lengths = lambda *keys: tf.stack([parsed[key].row_lengths() for key in keys])
    optional = lengths(schema.OBJECT_CROWD, schema.OBJECT_DIFFICULT, schema.OBJECT_AREA)
    fits = tf.reduce_all(tf.equal(lengths(*schema.BOX), classes.row_lengths()), 0)
    fits &= tf.reduce_all(tf.equal(optional, 0) | tf.equal(optional, classes.row_lengths()), 0)
    pictures = parsed[schema.ENCODED].row_lengths()
    return parse_labels.first_problem([
        *parse_labels.encoding_problems(pictures, encoded, ~fits),
        (parse_labels.outside(classes, self.num_classes), reasons.LABEL_OUT_OF_RANGE),
    ])


def placed(chunk: Tensors) -> Tensors:
  """A chunk of `guarded.decode_chunk` with boxes where they lie in its pictures, in pixels."""
  boxes, area = chunk["boxes"], chunk["area"]
  size, new_size = (tf.cast(chunk[k], tf.float32)[:, tf.newaxis] for k in ("size", "new_size"))
  extent = tf.reduce_prod((boxes[..., 2:] - boxes[..., :2]) * size, -1)
  top, left, bottom, right = tf.unstack(boxes, axis=-1)
  # x becomes 1 - x, which turns left and right round.
  mirrored = tf.stack([top, 1.0 - right, bottom, 1.0 - left], -1)
  boxes = tf.where(chunk["mirror"][:, tf.newaxis, tf.newaxis], mirrored, boxes)
  return {
      **{key: value for key, value in chunk.items() if key not in ("mirror", "new_size")},
      "boxes": boxes * tf.tile(new_size, [1, 1, 2]),
      "area": tf.where(tf.math.is_nan(area), extent, area),
  }


def held_to_share(chunks: tf.data.Dataset) -> tf.data.Dataset:
  """The same chunks; ends with an error when too many boxes were left out, 5 % after a thousand."""

  def step(state: tuple[tf.Tensor, tf.Tensor], chunk: Tensors):
    dropped = tf.reduce_sum(chunk["dropped_boxes"])
    lost = state[0] + dropped
    seen = state[1] + dropped + tf.math.count_nonzero(chunk["kept"])
    share = tf.cast(lost, tf.float64) / tf.cast(seen, tf.float64)
    fine = (seen < _AFTER) | (share <= _DEGENERATE)
    message = ["degenerate boxes", lost, "of", seen, "boxes; are they normalised to [0, 1]?"]
    with tf.control_dependencies([tf.raw_ops.Assert(condition=fine, data=message)]):
      return (tf.identity(lost), seen), chunk

  zero = tf.constant(0, tf.int64)
  return chunks.scan((zero, zero), _plain_python(step))


def opened(image: tf.Tensor) -> tf.Tensor:
  """uint8 `[height, width, 3]` of the handle of a picture."""
  return tf.raw_ops.OptionalGetValue(
      optional=image, output_types=[tf.uint8], output_shapes=[[None, None, 3]])[0]


def one_picture(chunk: Tensors, per_box: Sequence[str] = _PER_BOX) -> Tensors:
  """An element of `box_batches.train_batches`, of a chunk of one in which `placed` put the boxes.

  Args:
    chunk: of one picture, with `kept`.
    per_box: what has one row per box, of which the kept ones remain.
  """
  kept = tf.where(chunk["kept"])[:, 1]
  boxes = {key: tf.gather(chunk[key], kept, axis=1) for key in per_box}
  example = {**chunk, **boxes, "image": opened(chunk["image"][0])[tf.newaxis]}
  del example["kept"]
  for value in example.values():
    value.set_shape([1, *value.shape[1:]])
  return example
