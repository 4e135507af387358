"""Where `dedup` takes pictures from: folders, record sets, or the indexes of earlier runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

from jft_reps.collection.dedup import pictures as duplicate_pictures
from jft_reps.collection.dedup.pictures import Picture
from jft_reps.errors import ConfigError, printable

RECORDS = "records:"


def open_pictures(source: str) -> Iterator[Picture]:
  """Pictures of a folder, or of `records:FOLDER/SPLIT`, in an order that stays the same.

  A picture whose id cannot be a line of a text file is given with the reason `bad_id`.

  Raises:
    errors.ConfigError: a record set without a split.
    errors.DataError: no such folder or set, or a damaged set.
  """
  pictures = _records(source) if source.startswith(RECORDS) else duplicate_pictures.folder(source)
  for picture in pictures:
    name = picture.picture_id
    if "\n" in name or "\r" in name or not name.isascii() and _surrogates(name):
      yield Picture(printable(name.encode("utf-8", "backslashreplace"), 500), b"", "bad_id")
    else:
      yield picture


def _surrogates(name: str) -> bool:
  return any("\ud800" <= c <= "\udfff" for c in name)


def _records(source: str) -> Iterator[Picture]:
  folder, split = os.path.split(source.removeprefix(RECORDS))
  if not folder or not split:
    raise ConfigError("bad-source", printable(source), "no split", "records:FOLDER/SPLIT")
  from jft_reps.data.reading import order  # TensorFlow, which worker processes do without
  from jft_reps.data.records import manifest

  record_set = manifest.load(folder, split)
  for number, serialized in enumerate(order.serialized(record_set)):
    yield _parsed(serialized.numpy(), number)


def _parsed(serialized: bytes, number: int) -> Picture:
  import tensorflow as tf

  from jft_reps.data.records import schema

  wanted = (schema.SOURCE_ID, schema.ENCODED)
  try:
    features = tf.io.parse_single_example(
        serialized, {key: tf.io.RaggedFeature(tf.string) for key in wanted})
  except tf.errors.InvalidArgumentError:
    return Picture(f"record {number}", b"", "parse_error")
  names, pictures = (features[key].numpy() for key in wanted)
  name = names[0].decode("utf-8", "backslashreplace") if len(names) else f"record {number}"
  return Picture(name, pictures[0]) if len(pictures) else Picture(name, b"", "missing_feature")
