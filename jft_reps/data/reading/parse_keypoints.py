"""Records to pictures with people and their keypoints, and why a record cannot become one."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from jft_reps.data.reading import parse_boxes, parse_labels
from jft_reps.data.records import reasons, schema
from jft_reps.ops import keep_aspect

Tensors = dict[str, tf.Tensor]
_plain_python = tf.autograph.experimental.do_not_convert
# Used of a picture at most: the last number of an example's position is record · PEOPLE + person.
PEOPLE = 1024


@dataclasses.dataclass(frozen=True)
class StoredPicture:
  """The picture path of pose: as it is stored, as a handle."""

  def draw(self, seeds: tf.Tensor) -> tf.Tensor:
    """The seeds themselves: what is random is drawn for each person."""
    return seeds

  def decode(self, encoded: tf.Tensor, seeds: tf.Tensor) -> Tensors:
    """`image`, the handle of uint8 `[height, width, 3]`, `size` int64 `[2]` and `seeds`.

    No bytes at all give an empty picture.
    """
    path = keep_aspect.KeepAspect(resize=False)

    def stored() -> tuple[tf.Tensor, tf.Tensor]:
      decoded = path.decode(encoded, tf.constant(False))
      return decoded["image"], decoded["size"]

    empty = lambda: (tf.zeros([0, 0, 3], tf.uint8), tf.zeros([2], tf.int64))
    image, size = tf.cond(tf.strings.length(encoded) > 0, stored, empty)
    handle = tf.raw_ops.OptionalFromValue(components=[image])
    return {"image": handle, "size": tf.ensure_shape(size, [2]), "seeds": seeds}


@dataclasses.dataclass(frozen=True)
class KeypointParser(parse_boxes.BoxParser):
  """Reads chunks of serialised examples with people, as `BoxParser` does, with their keypoints.

  A record is left out as a whole where its lists do not fit together, where a visibility is not 0,
  1 or 2, or where a labelled point is no number. People who are no crowd and have a box and a
  labelled point inside of the picture are usable.

  Attributes:
    points: K, keypoints of a person.
    only_usable: pictures without a usable person come as empty ones and cost no decoding.
  """

  points: int = 1
  only_usable: bool = False

  def features(self) -> parse_labels.Features:
    objects = schema.object_features()
    return {**super().features(), **{key: objects[key] for key in schema.KEYPOINT}}

  def tensors(self, parsed: dict[str, tf.RaggedTensor]) -> Tensors:
    """What `BoxParser.parse` gives but classes and difficulty; `points` float32 `[n, k, K, 3]`,
    normalised, zeros where not labelled; `usable` bool `[n, k]`."""
    found = super().tensors(parsed)
    points, misfit = self._points(parsed, tf.shape(found["kept"]))
    visible = points[..., 2] > 0
    place = points[..., :2]
    inside = visible & tf.reduce_all((place >= 0.0) & (place <= 1.0), -1)
    usable = found["kept"] & ~found["crowd"] & tf.reduce_any(inside, -1)
    problem = tf.where((found["problem"] < 0) & misfit, tf.constant(reasons.PARSE_ERROR, tf.int64),
                       found["problem"])
    encoded = found["encoded"]
    if self.only_usable:
      encoded = tf.where(tf.reduce_any(usable, -1), encoded, "")
    del found["classes"], found["difficult"]
    return {**found, "problem": problem, "encoded": encoded, "usable": usable,
            "points": tf.where(visible[..., tf.newaxis], points, 0.0)}

  def _points(
      self, parsed: dict[str, tf.RaggedTensor], objects: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """(points `[n, k, K, 3]`, whether those of a record are wrong `[n]`); `objects` is [n, k]."""
    lists = [parsed[key] for key in schema.KEYPOINT]
    wanted = parsed[schema.OBJECT_LABEL].row_lengths() * self.points
    lengths = tf.stack([values.row_lengths() for values in lists])
    shape = tf.stack([objects[0], objects[1] * self.points])
    y, x, visibility = (
        tf.reshape(values.to_tensor(shape=shape), [*tf.unstack(objects), self.points])
        for values in lists)
    known = (visibility >= 0) & (visibility <= 2)
    number = tf.math.is_finite(y) & tf.math.is_finite(x) | tf.equal(visibility, 0)
    fits = tf.reduce_all(tf.equal(lengths, wanted), 0) & tf.reduce_all(known & number, [1, 2])
    return tf.stack([y, x, tf.cast(visibility, tf.float32)], -1), ~fits


def placed(chunk: Tensors) -> Tensors:
  """A chunk of `guarded.decode_chunk` with boxes and points in pixels of its pictures."""
  size = tf.cast(chunk["size"], tf.float32)[:, tf.newaxis, tf.newaxis]
  scale = tf.concat([size, tf.ones_like(size[..., :1])], -1)
  upright = tf.zeros(tf.shape(chunk["size"])[:1], tf.bool)
  boxes = parse_boxes.placed({**chunk, "mirror": upright, "new_size": chunk["size"]})
  return {**boxes, "points": chunk["points"] * scale}


def with_people(
    pictures: tf.data.Dataset, start: tf.Tensor, longest: tf.Tensor
) -> tf.data.Dataset:
  """Pictures with a usable person left to use, each with what was left out before it.

  Args:
    pictures: chunks of one.
    start: int64 `[3]`, where the data was resumed; the people before are not used again.
    longest: so many pictures in a row without a usable person mean that there is none.

  Returns:
    Pictures with `people` int64 `[n]`, the objects that are used, and `first` int64 scalar, the
    first of those to use.
  """
  row, person = start[2] // PEOPLE, start[2] % PEOPLE
  here = tf.stack([start[0], start[1], row + 1])

  def step(state, picture: Tensors):
    dropped, line, barren = state
    people = tf.where(picture["usable"][0])[:PEOPLE, 0]
    resumed = tf.reduce_all(tf.equal(picture["position"][0], here))
    first = tf.where(resumed, person, 0)
    used = first < tf.size(people, tf.int64)
    dropped += picture["dropped"]
    line = tf.where(picture["quarantined"][:, :1] >= 0, picture["quarantined"], line)
    barren = tf.where(tf.size(people) > 0, tf.zeros_like(barren), barren + 1)
    message = ["no usable person in the last", barren, "pictures; one is no crowd and has a box "
               "and a labelled point inside of the picture. Are points normalised to [0, 1]?"]
    with tf.control_dependencies([tf.raw_ops.Assert(condition=barren < longest, data=message)]):
      state = (tf.where(used, tf.zeros_like(dropped), dropped),
               tf.where(used, nothing, line), tf.identity(barren))
    return state, {**picture, "people": people, "first": first, "dropped": dropped,
                   "quarantined": line}

  nothing = -tf.ones([1, 4], tf.int64)
  none = tf.zeros([1, reasons.COUNT], tf.int64)
  found = pictures.scan((none, nothing, tf.constant(0, tf.int64)), _plain_python(step))
  return found.filter(_plain_python(lambda p: p["first"] < tf.size(p["people"], tf.int64)))


def people(picture: Tensors) -> tf.data.Dataset:
  """What makes an example, for every person left to use of a picture of `with_people`."""
  used, place, seeds = picture["people"], picture["position"][0], picture["seeds"][0]
  points = picture["points"][0]
  single = ~picture["crowd"][0] & picture["kept"][0]
  count = tf.size(used, tf.int64)

  def one(number: tf.Tensor) -> Tensors:
    index, first = used[number], tf.equal(number, picture["first"])
    last = tf.equal(number + 1, count)
    next_one = tf.where(last, place[2] * PEOPLE, (place[2] - 1) * PEOPLE + number + 1)
    other = single & tf.not_equal(tf.range(tf.size(single)), tf.cast(index, tf.int32))
    return {
        "image": picture["image"][0],
        "id": picture["id"][0],
        "box": picture["boxes"][0, index],
        "points": points[index],
        "others": tf.boolean_mask(points, other),
        "seeds": tf.stack([seeds[0], seeds[1] * PEOPLE + number]),
        "position": tf.stack([place[0], place[1], next_one]),
        "dropped": tf.where(first, picture["dropped"][0], 0),
        "quarantined": tf.where(first, picture["quarantined"][0], -1),
    }

  return tf.data.Dataset.range(picture["first"], count).map(_plain_python(one))
