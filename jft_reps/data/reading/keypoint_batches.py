"""People from a record set: crops with keypoints to train on, whole pictures to be judged on.

Read → shuffle encoded records → decode a chunk in parallel, leaving bad records out → count them →
one picture after the other → its people → a crop of each in parallel → batches.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.reading import guarded, label_batches, order, parse_boxes, parse_keypoints
from jft_reps.data.records import keypoint_schema, manifest
from jft_reps.data.records.keypoint_schema import KeypointSchema
from jft_reps.ops import images, person_crops
from jft_reps.task import START, Place

__all__ = ["check_schema", "eval_batches", "schema_of", "train_batches"]

Tensors = dict[str, tf.Tensor]
_plain_python = tf.autograph.experimental.do_not_convert
_CHUNK = 8  # records decoded by one call
# Pixels off the crop at which points still count: more than any disk around one reaches.
_MARGIN = 64.0
_PER_PERSON = ("boxes", "points", "area", "crowd")


@dataclasses.dataclass(frozen=True)
class _Crops:
  """How people are cropped; attributes as the arguments of `train_batches`."""

  schema: KeypointSchema
  height: int
  width: int
  mirror: bool
  enlarge: tuple[float, float]
  most_others: int

  def __post_init__(self):
    low, high = self.enlarge
    if not 0 < low <= high < float("inf"):
      raise errors.ConfigError("bad-enlarge", "enlarge", str(self.enlarge), "0 < first <= second")
    if min(self.height, self.width) < 2:
      raise errors.ConfigError(
          "bad-crop", "crop", f"{self.height} x {self.width}", "at least 2 x 2 pixels")
    if self.most_others < 0:
      raise errors.ConfigError("bad-others", "most_others", str(self.most_others), "at least 0")

  def drawn(self, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(whether to mirror, factor of the box) of int64 `seeds`, `[2]`."""
    words = images.random_words(seeds[tf.newaxis], 2)[0]
    low, high = self.enlarge
    factor = low + (high - low) * tf.cast(words[1], tf.float32) / 2**31
    return tf.equal(words[0] % 2, 1) & self.mirror, factor

  def example(self, person: Tensors) -> Tensors:
    """What `train_batches` describes, of one element of `parse_keypoints.people`."""
    mirror, factor = self.drawn(person.pop("seeds"))
    sides = {"height": self.height, "width": self.width}
    region = person_crops.region(person.pop("box"), factor, **sides)
    pixels = person_crops.crop(
        parse_boxes.opened(person.pop("image")), region[tf.newaxis], **sides)[0]
    flip = lambda: tf.raw_ops.Reverse(tensor=pixels, dims=[False, True, False])

    def in_crop(points: tf.Tensor) -> tf.Tensor:
      points = person_crops.to_crop(points, region, **sides)
      turned = person_crops.mirrored_points(points, self.schema.mirrored, self.width)
      return person_crops.only_near(tf.where(mirror, turned, points), margin=_MARGIN, **sides)

    others = in_crop(person["others"])
    near = tf.reduce_any(others[..., 2] > 0, -1)
    return {
        **person,
        "image": tf.cond(mirror, flip, lambda: pixels),
        "points": in_crop(person["points"]),
        "others": tf.boolean_mask(others, near)[:self.most_others],
    }


def schema_of(record_set: manifest.RecordSet) -> KeypointSchema:
  """The schema that records were built with.

  Raises:
    errors.DataError: they have no keypoints.
  """
  where = manifest.path_of(record_set.directory, record_set.split)
  stated = record_set.metadata.get("keypoints")
  if not isinstance(stated, Mapping):
    raise errors.DataError("no-keypoints", where, "records without keypoints", "a schema of them",
                           "Build them from a source with keypoints.")
  return keypoint_schema.from_json(dict(stated), where)


def check_schema(record_set: manifest.RecordSet, schema: KeypointSchema) -> None:
  """Holds the keypoints of records against a schema: names, mirror pairs and sigmas.

  Raises:
    errors.DataError: the records have none, or others.
  """
  stated = record_set.metadata.get("keypoints")
  where = manifest.path_of(record_set.directory, record_set.split)
  expected = f"those of {schema.name}: {', '.join(schema.names)}"
  if not isinstance(stated, Mapping) or not isinstance(stated.get("names"), list):
    raise errors.DataError(
        "no-keypoints", where, "records without keypoints", expected,
        "Build them from a source with keypoints.")
  if tuple(stated["names"]) != schema.names:
    found = f"keypoints {errors.printable(', '.join(map(str, stated['names'])))}"
    raise errors.DataError("other-keypoints", where, found, expected,
                           "Name the schema that the records were built with.")
  built = keypoint_schema.from_json(dict(stated), where)
  pairs = [{frozenset(pair) for pair in s.mirror} for s in (built, schema)]
  for what, same in (("mirror pairs", pairs[0] == pairs[1]),
                     ("sigmas", np.allclose(built.sigmas, schema.sigmas, rtol=1e-6))):
    if not same:
      raise errors.DataError("other-keypoints", where, f"other {what}", f"those of {schema.name}",
                             "Name the schema that the records were built with.")


def _counted(
    record_set: manifest.RecordSet, records: tf.data.Dataset, schema: KeypointSchema,
    seed: int | tf.Tensor, limits: guarded.Limits | None, train: bool,
) -> tf.data.Dataset:
  """Chunks of one decoded picture, bad records counted and their share held."""
  # One class, so a set with objects that are no people is refused record by record.
  parser = parse_keypoints.KeypointParser(
      parse_keypoints.StoredPicture(), 1, schema.count, only_usable=train)
  seed = tf.cast(seed, tf.int64)
  decode = _plain_python(
      lambda chunk: parse_keypoints.placed(guarded.decode_chunk(parser, chunk, seed)))
  parallel = max(4, os.cpu_count() or 1)
  chunks = records.map(decode, num_parallel_calls=parallel, deterministic=True)
  chunks = chunks if train else guarded.with_tail(chunks)
  counted = guarded.count_and_carry(chunks, limits or guarded.Limits(), record_set.records)
  return parse_boxes.held_to_share(counted).rebatch(1)


def train_batches(
    record_set: manifest.RecordSet,
    batch_size: int,
    schema: KeypointSchema,
    *,
    place: Place = START,
    shuffle: int = order.SHUFFLE,
    limits: guarded.Limits | None = None,
    mirror: bool = True,
    enlarge: tuple[float, float] = (1.0, 1.5),
    crop: tuple[int, int] = (person_crops.HEIGHT, person_crops.WIDTH),
    most_others: int = 30,
) -> tf.data.Dataset:
  """Endless batches of crops, one for every usable person, those of a picture in a row.

  Usable is who is no crowd and has a box with area and a labelled point inside of the picture.
  Order, mirroring and enlarging depend on (seed, epoch, worker) and the person's place alone.

  Args:
    record_set: of `manifest.load`.
    batch_size: crops in every batch.
    schema: of the keypoints; the records must have the same names.
    place, shuffle, limits: as in `label_batches.train_batches`.
    mirror: mirror half of the crops.
    enlarge: least and most factor of the extended box, drawn uniformly.
    crop: height and width in pixels.
    most_others: people in `others` at most.

  Returns:
    A dataset of dicts: `image` uint8 `[batch, height, width, 3]`; `points` float32 `[batch, K, 3]`
    of y, x in pixels of the crop and visibility, zeros where not labelled or more than 64 pixels
    off the crop; `others` float32 `[batch, P, K, 3]`, those of the other people of the picture,
    without crowds, likewise, padded with zeros to the most of the batch, which may be 0; `id`
    string `[batch]` of the picture; `position`, `dropped` and `quarantined` as in
    `label_batches.train_batches`, the last number of a position being record · 1024 + person.

  Raises:
    errors.DataError: the set is empty, or has no or other keypoints. errors.ConfigError: sizes and
      factors that cannot be. When run, TensorFlow's errors of the reader, and
      `InvalidArgumentError` beyond the limits: of bad records, of degenerate boxes (5 % after a
      thousand), and where nobody is usable.
  """
  label_batches.check_arguments(record_set, batch_size, 1)
  check_schema(record_set, schema)
  crops = _Crops(schema, *crop, mirror, enlarge, most_others)
  start = tf.cast(place.position, tf.int64)
  begin = tf.stack([start[0], start[1], start[2] // parse_keypoints.PEOPLE])
  records = order.chunks(record_set, _CHUNK, dataclasses.replace(place, position=begin), shuffle)
  pictures = _counted(record_set, records, schema, place.seed, limits, train=True)
  # Somebody used early in one epoch and late in the next is nearly two epochs away; the shares of
  # several workers vary, so that it may take as many times longer.
  longest = 2 * record_set.records * tf.cast(place.workers, tf.int64)
  pictures = parse_keypoints.with_people(pictures, start, longest)
  people = pictures.flat_map(_plain_python(parse_keypoints.people))
  parallel = max(4, os.cpu_count() or 1)
  examples = people.map(
      _plain_python(crops.example), num_parallel_calls=parallel, deterministic=True)
  batches = examples.padded_batch(batch_size, drop_remainder=True)
  return label_batches.with_own_threads(batches.prefetch(2))


def eval_batches(
    record_set: manifest.RecordSet, schema: KeypointSchema, limits: guarded.Limits | None = None,
) -> tf.data.Dataset:
  """Every picture once, in its stored size and always in the same order.

  Args:
    record_set: of `manifest.load`.
    schema: of the keypoints; the records must have the same names.
    limits: of bad records.

  Returns:
    A dataset of dicts of one picture each: `image` uint8 `[1, height, width, 3]`; `id` string
    `[1]`; `size` int64 `[1, 2]`; `boxes` float32 `[1, n, 4]` and `points` float32 `[1, n, K, 3]`
    in its pixels, zeros where not labelled; `area` float32, `crowd` bool `[1, n]`, n may be 0;
    `dropped_boxes`, `position`, `dropped`, `quarantined` as in `box_batches.eval_batches`.

  Raises:
    errors.DataError: as `train_batches`, and the same when run.
  """
  label_batches.check_arguments(record_set, 1, 1)
  check_schema(record_set, schema)
  records = order.chunks(record_set, _CHUNK, shuffle=0, repeat=False)
  pictures = _counted(record_set, records, schema, 0, limits, train=False)

  def one(chunk: Tensors) -> Tensors:
    unused = ("usable", "seeds")
    chunk = {key: value for key, value in chunk.items() if key not in unused}
    return parse_boxes.one_picture(chunk, _PER_PERSON)

  return label_batches.with_own_threads(pictures.map(_plain_python(one)).prefetch(4))
