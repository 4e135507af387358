"""Records to pictures with their boxes, one at a time, and why a record cannot become one."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from jft_reps.data import guarded, picture_records, reasons, schema
from jft_reps.ops import keep_aspect

Tensors = dict[str, tf.Tensor]
_plain_python = tf.autograph.experimental.do_not_convert


@dataclasses.dataclass(frozen=True)
class BoxParser:
  """Reads serialised examples with boxes.

  Boxes are clipped to the picture; those that are not finite or have no area then are left out
  and counted. A record whose boxes and labels do not fit together is left out as a whole.

  Attributes:
    picture: the picture path.
    num_classes: object labels must lie in [0, num_classes).
  """

  picture: keep_aspect.KeepAspect
  num_classes: int

  def decode(self, chunk: Tensors, seed: tf.Tensor) -> Tensors:
    """Parses and decodes the record of a chunk of one; leaves it out where that fails.

    Args:
      chunk: an element of `reading.chunks` of size 1.
      seed: int64 scalar, of the augmentation.

    Returns:
      What `detection.train_batches` describes, with m rows of 0 or 1; `dropped` and
      `quarantined` as of `guarded.decode_chunk`.
    """
    seeds = guarded.augmentation_seeds(seed, chunk["position"][:, 0], chunk["source"])
    # Ignoring errors is safe here: all that lies upstream is in memory.
    here = tf.data.Dataset.from_tensors((chunk["serialized"], self.picture.draw(seeds)))
    good = here.map(_plain_python(self._example)).ignore_errors()
    empty = {k: guarded.empty_like(s) for k, s in good.element_spec.items()}
    good = good.concatenate(tf.data.Dataset.from_tensors(empty)).take(1).get_single_element()
    index = tf.range(tf.shape(good["id"], tf.int64)[0])
    return {
        **good,
        "position": chunk["position"][: tf.size(index)],
        **guarded.left_out(self.reason, chunk, index),
    }

  def reason(self, serialized: tf.Tensor) -> tf.Tensor:
    """Code (int64 scalar) of why a record fails; `DECODE_ERROR` where nothing else is wrong."""
    return picture_records.reason_of(self._parse, self.picture.limits, serialized)

  def _example(self, serialized: tf.Tensor, mirror: tf.Tensor) -> Tensors:
    """One picture of a record `[1]` and a draw `[1]`; fails where there is a problem."""
    parsed = self._parse(serialized)
    fine = parsed["problem"][0] < 0
    with tf.control_dependencies([
        tf.raw_ops.Assert(condition=fine, data=[parsed["problem"]])]):
      encoded = tf.identity(parsed["encoded"][0])
    picture = self.picture.decode(encoded, mirror[0])
    size, new_size = (tf.cast(picture[k], tf.float32) for k in ("size", "new_size"))
    boxes, area = parsed["boxes"], parsed["area"]
    extent = tf.reduce_prod((boxes[:, 2:] - boxes[:, :2]) * size, 1)
    # x becomes 1 - x, which turns left and right round.
    mirrored = tf.stack([boxes[:, 0], 1.0 - boxes[:, 3], boxes[:, 2], 1.0 - boxes[:, 1]], 1)
    boxes = tf.where(mirror[0], mirrored, boxes) * tf.tile(new_size, [2])
    rows = {
        "image": picture["image"],
        "id": parsed["id"][0],
        "size": picture["size"],
        "boxes": boxes,
        "classes": parsed["classes"],
        "crowd": parsed["crowd"] > 0,
        "difficult": parsed["difficult"] > 0,
        "area": tf.where(tf.math.is_nan(area), extent, area),
        "dropped_boxes": parsed["dropped_boxes"],
    }
    return {key: value[tf.newaxis] for key, value in rows.items()}

  def _parse(self, serialized: tf.Tensor) -> Tensors:
    """Features of one record, `[1]`; fails only where it is malformed."""
    wanted = {**schema.picture_features(), **schema.box_features()}
    for key in (schema.LABEL, schema.CONFIDENCE, schema.UNKNOWN):
      wanted.pop(key)
    parsed = {k: v.values for k, v in tf.io.parse_example(serialized, wanted).items()}
    classes, pictures = parsed[schema.OBJECT_LABEL], parsed[schema.ENCODED]
    count = tf.size(classes)
    counts = tf.stack([tf.size(parsed[side]) for side in schema.BOX])
    optional = tf.stack([tf.size(parsed[k]) for k in (
        schema.OBJECT_CROWD, schema.OBJECT_DIFFICULT, schema.OBJECT_AREA)])
    fits = tf.reduce_all(tf.equal(counts, count)) & tf.reduce_all(
        tf.equal(optional, 0) | tf.equal(optional, count))
    count = tf.where(fits, count, 0)  # so that nothing below fails
    outside = tf.reduce_any((classes < 0) | (classes >= self.num_classes))
    encoded = tf.concat([pictures, [""]], 0)[:1]
    number = tf.size(pictures)[tf.newaxis]
    problem = picture_records.first_problem([
        *picture_records.encoding_problems(number, encoded, ~fits[tf.newaxis]),
        (outside[tf.newaxis], reasons.LABEL_OUT_OF_RANGE)])
    boxes = tf.stack([parsed[side][:count] for side in schema.BOX], 1)
    inside = tf.clip_by_value(boxes, 0.0, 1.0)
    kept = tf.where(tf.reduce_all(tf.math.is_finite(boxes), 1) & tf.reduce_all(
        inside[:, 2:] > inside[:, :2], 1))[:, 0]

    def of(key: str, default: float) -> tf.Tensor:
      """Values of the boxes that are kept; `default` for each where the record names none."""
      values = parsed[key]
      absent = count - tf.minimum(tf.size(values), count)
      missing = tf.fill([absent], tf.cast(default, values.dtype))
      return tf.gather(tf.concat([values, missing], 0), kept)

    return {
        "problem": problem,
        "encoded": encoded,
        "id": tf.concat([parsed[schema.SOURCE_ID], [""]], 0)[:1],
        "boxes": tf.gather(inside, kept),
        "classes": of(schema.OBJECT_LABEL, 0),
        "crowd": of(schema.OBJECT_CROWD, 0),
        "difficult": of(schema.OBJECT_DIFFICULT, 0),
        "area": of(schema.OBJECT_AREA, float("nan")),
        "dropped_boxes": tf.cast(count, tf.int64) - tf.size(kept, out_type=tf.int64),
    }
