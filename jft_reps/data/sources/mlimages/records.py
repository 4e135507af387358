"""Records of Tencent ML-Images, as the program that is handed out with its lists writes them.

A record has `image`, the file's bytes, `name`, and `label`: a float32 confidence per class, 44,664
bytes of them, or one whole number for sets with one class per picture.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf import message

from jft_reps import errors
from jft_reps.data.records import framing
from jft_reps.data.sources import raw
from jft_reps.data.sources.mlimages import lists
from jft_reps.data.sources.opened import Opened, about_source, several

_SUFFIXES = (".tfrecords", ".tfrecord")
_LONGEST = 256 << 20


def files(paths: Sequence[str | os.PathLike]) -> list[str]:
  """Record files, of folders those that end in `.tfrecords` or `.tfrecord`, sorted.

  Raises:
    errors.DataError: there is none.
  """
  found: list[str] = []
  for path in [os.fspath(path) for path in paths]:
    names = sorted(os.listdir(path)) if os.path.isdir(path) else None
    inside = [path] if names is None else [
        os.path.join(path, name) for name in names if name.endswith(_SUFFIXES)]
    if not inside or not all(map(os.path.isfile, inside)):
      raise errors.DataError("missing-file", path, "no records", "0.tfrecords, 1.tfrecords, …")
    found += inside
  return found


def read(paths: Sequence[str | os.PathLike], labels: Sequence[str]) -> Iterator[raw.Source]:
  """Every picture with its bytes and labels, one record in memory at a time.

  Args:
    paths: files or folders, as for `files`.
    labels: ids of the classes in the order of the label vectors.

  Raises:
    errors.DataError: a file is damaged, a record has other features or classes; names file and
      record.
  """
  for path in files(paths):
    for number, (_, length) in enumerate(framing.walk(path)):
      if length > _LONGEST:
        raise errors.DataError("corrupt-record", f"{path} record {number}", f"{length} bytes",
                               f"at most {_LONGEST}")
    number = -1
    try:
      for number, record in enumerate(tf.data.TFRecordDataset(path).as_numpy_iterator()):
        yield _source(record, labels, f"{path} record {number}")
    except tf.errors.OpError as error:
      raise errors.DataError(
          "corrupt-record", f"{path} record {number + 1}", errors.printable(error.message, 120),
          "records whose checksums fit", "Fetch the file again.") from None


def _source(record: bytes, labels: Sequence[str], where: str) -> raw.Source:
  try:
    feature = tf.train.Example.FromString(record).features.feature
  except message.DecodeError:
    raise errors.DataError(
        "bad-example", where, "no tf.train.Example", "one with image, label and name") from None
  image, name = (feature[key].bytes_list.value for key in ("image", "name"))
  if len(image) != 1 or len(name) != 1:
    raise errors.DataError(
        "bad-example", where, f"{len(image)} image, {len(name)} name among "
        f"{errors.printable(sorted(key for key in feature))}", "one image, one label, one name")
  confidences = _confidences(feature["label"], len(labels), where)
  graded = {labels[i]: round(float(confidences[i]), 6)
            for i in np.flatnonzero(confidences).tolist()}
  picture_id = name[0].decode("utf-8", "backslashreplace")
  return raw.Source(picture_id, "", tuple(graded), tuple(graded.values()), where, image[0])


def _confidences(label: tf.train.Feature, count: int, where: str) -> np.ndarray:
  """`[count]` confidences of a label feature in one of its two forms."""
  if len(label.int64_list.value) == 1:
    [index] = label.int64_list.value
    if not 0 <= index < count:
      raise errors.DataError("unknown-label", where, f"class {index}", f"0 to {count - 1}")
    return np.arange(count) == index
  data = b"".join(label.bytes_list.value)
  if len(data) != 4 * count:
    raise errors.DataError(
        "label-length", where, f"a label of {len(data)} bytes", f"4 for each of {count} classes",
        "Is it the hierarchy of these records?")
  values = np.frombuffer(data, "<f4")
  if not (np.isfinite(values) & (values >= 0) & (values <= 1)).all():
    raise errors.DataError("bad-confidence", where, "a confidence outside of 0 and 1",
                           "numbers within 0 and 1")
  return values


def open_records(input: str, labels: Sequence[str] | None = None) -> Opened:
  """Tencent's own tfrecords."""
  labels = lists.checked_classes(labels)
  return Opened(functools.partial(read, files(several(input)), labels), labels,
                about_source("mlimages_records"))
