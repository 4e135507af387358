"""Pictures and class labels of a data set that TensorFlow Datasets (TFDS) has prepared.

The set is read by its metadata alone (`tfds.builder_from_directory`): nothing is downloaded and
no generating code is imported. Pictures stay the encoded bytes that the set stores.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jft_reps import errors
from jft_reps.data.sources import raw
from jft_reps.data.sources.tfds import folders

_LABELS = ("label", "labels", "objects/label")
_CONFIDENCE, _SOURCE, _MACHINE = "confidence", "source", "machine"
TFDS_ID = "tfds_id"


@dataclasses.dataclass(frozen=True)
class TfdsSet:
  """One split of a prepared set.

  Attributes:
    name: `name[/config]:version`.
    split: as TFDS writes it, such as `train[:90%]`.
    labels: names of the classes in the set's own order; numbers where it names none.
  """

  name: str
  split: str
  labels: tuple[str, ...]
  _builder: Any = dataclasses.field(repr=False)
  _picture: str = dataclasses.field(repr=False)
  _label: tuple[str, ...] = dataclasses.field(repr=False)
  _graded: bool = dataclasses.field(repr=False)
  _machine: int | None = dataclasses.field(repr=False)
  _id: str = dataclasses.field(repr=False)

  def read(self) -> Iterator[raw.Source]:
    """Every picture with its bytes, one shard after another; a few are in memory at once.

    Yields:
      A source whose labels are class names. Labels of an object with a feature `confidence`
      have that (whole numbers are tenths, as in `open_images_v4`); those of confidence 0 are
      verified as absent. Where a feature `source` may be `machine`, what others say of a class
      replaces what a machine says.

    Raises:
      errors.DataError: a shard is missing or broken, or a label is no class.
    """
    import tensorflow_datasets as tfds

    fields: Any = True
    if len(self._label) == 2:
      fields = {self._label[1]: True, **({_CONFIDENCE: True} if self._graded else {}),
                **({_SOURCE: True} if self._machine is not None else {})}
    wanted = {self._label[0]: fields, self._picture: True}
    if self._id != TFDS_ID:
      wanted[self._id] = True
    skip = {self._picture: tfds.decode.SkipDecoding()}
    with reading(self.name, self.split):
      for example in examples(self._builder, self.split, wanted, skip).as_numpy_iterator():
        record = errors.printable(example[TFDS_ID])
        where = f"tfds:{self.name} {self.split} {record}"
        graded = self._labels_of(example, where)
        present = {label: confidence for label, confidence in graded.items() if confidence}
        name = bytes(example[self._id]).decode("utf-8", "backslashreplace")
        yield raw.Source(
            name, "", tuple(present), tuple(present.values()), where,
            bytes(example[self._picture]),
            absent=tuple(label for label in graded if label not in present))

  def _labels_of(self, example: dict[str, Any], where: str) -> dict[str, float]:
    """Highest confidence of every class that is stated; 0: it is verified as absent."""
    value = example[self._label[0]]
    values = np.atleast_1d(value if len(self._label) == 1 else value[self._label[1]])
    confidences, guessed = np.ones(len(values)), np.zeros(len(values), bool)
    if self._graded:
      confidences = np.atleast_1d(value[_CONFIDENCE])
      confidences = confidences / (10 if np.issubdtype(confidences.dtype, np.integer) else 1)
    if self._machine is not None:
      guessed = np.atleast_1d(value[_SOURCE]) == self._machine
    by_machine: dict[str, float] = {}
    by_others: dict[str, float] = {}
    for index, confidence, guess in zip(values.tolist(), confidences.tolist(), guessed.tolist()):
      if not 0 <= index < len(self.labels):
        raise errors.DataError(
            "no-label", where, f"label {index}", f"a class from 0 to {len(self.labels) - 1}",
            "TFDS gives -1 where a split has no labels; choose another with --tfds_split.")
      if not 0.0 <= confidence <= 1.0:
        raise errors.DataError(
            "bad-confidence", where, f"confidence {confidence}", "within 0 and 1")
      if confidence or not guess:
        graded, label = by_machine if guess else by_others, self.labels[index]
        graded[label] = max(confidence, graded.get(label, 0.0))
    return {**by_machine, **by_others}


def examples(builder: Any, split: str, wanted: dict[str, Any], decoders: dict[str, Any]) -> Any:
  """A split as a dataset of the `wanted` features, in the order of its files."""
  import tensorflow_datasets as tfds

  return builder.as_dataset(
      split=split, shuffle_files=False, decoders=tfds.decode.PartialDecoding(wanted, decoders),
      read_config=tfds.ReadConfig(
          add_tfds_id=True, try_autocache=False, interleave_cycle_length=1))


@contextlib.contextmanager
def reading(name: str, split: str) -> Iterator[None]:
  """Errors of TFDS and TensorFlow as ours; what a set's files make them raise is not bounded."""
  try:
    yield
  except errors.JftError:
    raise
  except Exception as error:
    raise errors.DataError(
        "tfds-unreadable", f"tfds:{name} {split}", errors.printable(error, 400),
        "a set as TFDS prepares it", "Prepare it again.") from error


def open_split(
    spec: str,
    data_dir: str | os.PathLike,
    split: str = "train",
    label: str | None = None,
    picture_id: str | None = None,
) -> TfdsSet:
  """Opens a split of a prepared classification set.

  Args:
    spec: `name[/config][:version]`.
    data_dir: directory in which TFDS prepared it.
    split: split or slice of TFDS, such as `train[:90%]`.
    label: feature with the classes, `objects/label` for one inside of another; by default
      `label`, `labels` or `objects/label`, or the only one there is.
    picture_id: text feature that names pictures, such as `file_name`; by default the id TFDS
      gives every record, because file names may repeat between classes (`caltech101`).

  Raises:
    errors.DataError: the set is not prepared or unreadable, no such split or feature.
  """
  import tensorflow_datasets as tfds

  found = folders.find(spec, data_dir)
  builder = open_builder(found, split)
  with reading(str(found), split):
    features = builder.info.features
    classes = _class_labels(features)
    label = _chosen("label", label, list(classes), _LABELS, found.path)
    images = [k for k, f in features.items() if type(f) is tfds.features.Image]
    picture = _chosen("picture", None, images, ("image",), found.path)
    texts = [k for k, f in features.items() if isinstance(f, tfds.features.Text)]
    name = _chosen("id", picture_id or TFDS_ID, [TFDS_ID, *texts], (), found.path)
    path = (label,) if label in features else tuple(label.rsplit("/", 1))
    fields = dict(_inner(features[path[0]]).items()) if len(path) == 2 else {}
    graded = _CONFIDENCE in fields
    machine = _machine(fields.get(_SOURCE)) if graded and path[1] != _SOURCE else None
    names = class_names(classes[label], found.path, label)
    return TfdsSet(str(found), split, names, builder, picture, path, graded, machine, name)


def _machine(feature: Any) -> int | None:
  """Which number of a feature says that a machine labelled, as in Open Images."""
  names = getattr(feature, "names", None) or []
  return names.index(_MACHINE) if _MACHINE in names else None


def open_builder(found: folders.Prepared, split: str) -> Any:
  """The builder of a prepared set that has the split, by its metadata alone.

  Raises:
    errors.DataError: the metadata is unreadable or names foreign code, or no such split.
  """
  import tensorflow_datasets as tfds

  folders.check_features(found.path)
  with reading(str(found), split):
    builder = tfds.builder_from_directory(found.path)
    try:
      builder.info.splits[split]
    except (KeyError, ValueError) as error:
      raise errors.DataError(
          "tfds-split", found.path, errors.printable(error),
          f"--tfds_split of {', '.join(sorted(builder.info.splits))}, or a slice of one") from None
    return builder


def class_names(feature: Any, path: str, label: str) -> tuple[str, ...]:
  """Names of the classes; TFDS passes over a names file that does not fit."""
  names = tuple(feature.names)
  if not names or len(names) != feature.num_classes or len(set(names)) != len(names):
    raise errors.DataError(
        "tfds-names", path, f"{len(set(names))} names for {feature.num_classes} classes",
        f"a name for every class in {label.replace('/', '-')}.labels.txt", "Prepare it again.")
  return names


def _inner(feature: Any) -> Any:
  """What a sequence is of; other features as they are."""
  import tensorflow_datasets as tfds

  return feature.feature if isinstance(feature, tfds.features.Sequence) else feature


def _class_labels(features: Any) -> dict[str, Any]:
  """Every feature with named classes, at the top or one level down, by its path."""
  import tensorflow_datasets as tfds

  found: dict[str, Any] = {}
  for key, feature in features.items():
    inner = _inner(feature)
    fields = {key: inner}
    if isinstance(inner, tfds.features.FeaturesDict):
      fields = {f"{key}/{name}": field for name, field in inner.items()}
    found.update((path, field) for path, field in fields.items()
                 if isinstance(field, tfds.features.ClassLabel))
  return found


def _chosen(
    kind: str, asked: str | None, there: Sequence[str], usual: Sequence[str], path: str
) -> str:
  """The feature that was asked for, or the first usual one, or the only one there is."""
  for name in (asked,) if asked else usual:
    if name in there:
      return name
  if len(there) == 1 and not asked:
    return there[0]
  found = f"no {kind} feature {asked or ' or '.join(usual)}"
  fix = "" if kind == "picture" else f"Name it with --tfds_{kind}."
  listed = ", ".join(map(errors.printable, there))
  expected = f"one of {listed}" if there else "a classification set of pictures"
  raise errors.DataError(f"tfds-{kind}", path, found, expected, fix if there else "")
