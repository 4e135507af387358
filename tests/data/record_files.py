"""Record sets written as they are given, sorted or not, good or bad."""

from __future__ import annotations

import pathlib

import tensorflow as tf

from jft_reps.data.records import label_map, manifest, schema
from jft_reps.data.records import writing as records
from tests.data import picture_files as files


def by_shard(examples: dict[str, bytes], shards: int) -> list[list[bytes]]:
  """Records by id in the shards and the order in which a set has them."""
  found: list[list[bytes]] = [[] for _ in range(shards)]
  for name in sorted(examples, key=records.unit_hash):
    found[int(records.unit_hash(name) * shards)].append(examples[name])
  return found


def write(directory: pathlib.Path, split: str, shards: list[list[bytes]], labels=None,
          **metadata) -> manifest.RecordSet:
  """A set of exactly these records, with a manifest of what is there."""
  directory.mkdir(parents=True, exist_ok=True)
  written = []
  for i, shard in enumerate(shards):
    path = str(directory / records.shard_name(split, i, len(shards)))
    with tf.io.TFRecordWriter(path) as writer:
      for record in shard:
        writer.write(record)
    written.append(manifest.describe(path))
  if labels is not None:
    metadata.update(label_map.metadata(label_map.write(directory, labels)))
  found = manifest.RecordSet(str(directory), split, tuple(written), metadata)
  manifest.write(found)
  return found


def good(*names: str, labels=(1,), **more) -> dict[str, bytes]:
  return {name: files.example(name, labels=labels, **more) for name in names}


def changed(record: bytes, **features) -> bytes:
  """A record with other values of some features, `class_label` for `image/class/label`.

  None leaves a feature out; floats, ints and bytes make its kind.
  """
  keys = {name.lower(): getattr(schema, name) for name in dir(schema) if name.isupper()}
  example = tf.train.Example.FromString(record)
  for name, values in features.items():
    feature = example.features.feature
    feature.pop(keys[name], None) if isinstance(keys[name], str) else None
    if values is None:
      continue
    kind = ("bytes_list" if isinstance(values[0], bytes) else
            "float_list" if isinstance(values[0], float) else "int64_list")
    getattr(feature[keys[name]], kind).value.extend(values)
  return example.SerializeToString()
