"""What a folder of records holds, as far as one must know to train on it."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from jft_reps.data.records import framing, label_map, manifest, schema
from jft_reps.data.records.example import Example
from jft_reps.errors import DataError, printable

SAMPLE = 2000  # records that are looked at, spread over the shards
_HELD_OUT = ("val", "validation", "dev", "minival", "fasteval", "held_out", "test")


@dataclasses.dataclass(frozen=True)
class Contents:
  """A folder of records.

  Attributes:
    directory: the folder.
    kind: `labels`, `boxes`, `masks` or `keypoints`.
    train: the split to learn from.
    evaluation: splits to measure with, the one to choose checkpoints by first.
    pictures: of the training split.
    people: whose points are annotated, of `keypoints`; else 0.
    classes: ids, in class order.
    several: whether some picture of the sample has several labels.
    short_side, long_side: medians of the stored pictures' sides, in pixels.
    keypoints: schema of the points, of `keypoints`; else None.
  """

  directory: str
  kind: str
  train: str
  evaluation: tuple[str, ...]
  pictures: int
  people: int
  classes: tuple[str, ...]
  several: bool
  short_side: int
  long_side: int
  keypoints: dict[str, Any] | None

  def text(self) -> str:
    """The same in one line."""
    of = {"labels": "several labels a picture" if self.several else "one label each",
          "boxes": "with boxes", "masks": "with masks",
          "keypoints": f"{self.people:,} people with points"}[self.kind]
    return (f"{self.pictures:,} pictures of {len(self.classes):,} classes in {self.train}, {of}, "
            f"about {self.long_side}×{self.short_side} pixels; measured with "
            f"{', '.join(self.evaluation)}")


def read(directory: str | os.PathLike[str]) -> Contents:
  """Reads manifests, and a sample of the training records.

  Raises:
    DataError: no records, no split to learn from or none to measure with, or damage.
  """
  directory = os.fspath(directory)
  sets = _sets(directory)
  if "train" not in sets:
    raise DataError("no-train-split", printable(directory), f"splits {_listed(sets)}",
                    "a split called train", "Build it with build_records --split=train, or name "
                    "yours by --config.task.train_split.")
  train = sets["train"]
  evaluation = _evaluation(sets, train)
  if not evaluation:
    raise DataError("no-held-out-split", printable(directory), f"splits {_listed(sets)}",
                    "one to measure with beside train", "Build the records with "
                    "--hold_out=10%, or another set with --split=val.")
  kind = train.metadata.get("annotations", "labels")
  counts, sides = _sample(train)
  short, long = (int(side) for side in np.median(np.sort(sides, 1), 0))
  return Contents(
      directory, kind, "train", evaluation, train.records,
      train.metadata.get("people_with_points", 0), label_map.labels_of(train) or (),
      bool((counts > 1).any()), short, long, train.metadata.get("keypoints"))


def _sets(directory: str) -> dict[str, manifest.RecordSet]:
  names = os.listdir(directory) if os.path.isdir(directory) else []
  splits = sorted(n[9:-5] for n in names if n.startswith("manifest-") and n.endswith(".json"))
  if not splits:
    manifest.read(directory, "train")  # says what is missing
  return {split: manifest.read(directory, split) for split in splits}


def _evaluation(sets: dict[str, manifest.RecordSet], train: manifest.RecordSet) -> tuple[str, ...]:
  """Splits without pictures of `train`: neither what it is a part of, nor a part of it."""
  whole = {train.split, train.metadata.get("subset", {}).get("of"),
           train.metadata.get("subset", {}).get("base")}
  # A part of what train is a part of, too, is disjoint only where it was held out from it.
  held_out = [name for name, one in sets.items() if name not in whole and (
      "subset" not in one.metadata or
      one.metadata["subset"]["of"] != "train" and name in _HELD_OUT)]
  order = {name: place for place, name in enumerate(_HELD_OUT)}
  return tuple(sorted(held_out, key=lambda name: (order.get(name, len(order)), name)))


def _sample(record_set: manifest.RecordSet) -> tuple[np.ndarray, np.ndarray]:
  """Labels per picture `[n]` and sides `[n, 2]` of some records of every shard."""
  counts, sides = [], []
  each = -(-SAMPLE // len(record_set.shards))
  for path, shard in zip(record_set.paths, record_set.shards):
    for features in itertools.islice(_features(path), min(each, shard.use)):
      counts.append(len(set(features[schema.LABEL].int64_list.value)))
      sides.append([(features[key].int64_list.value or [0])[0]
                    for key in (schema.HEIGHT, schema.WIDTH)])
  return np.array(counts), np.array(sides)


def _features(path: str) -> Iterator[Any]:
  with open(path, "rb") as file:
    for offset, length in framing.walk(path):
      yield Example.FromString(framing.read(file, offset, length)[0]).features.feature


def _listed(sets: dict[str, manifest.RecordSet]) -> str:
  return ", ".join(printable(name, 40) for name in list(sets)[:8])
