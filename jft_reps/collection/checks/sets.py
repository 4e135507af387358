"""What a set holds, and what sets that are used together have to agree in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from jft_reps import errors
from jft_reps.collection.checks import shards as shard_checks
from jft_reps.collection.checks.findings import Findings
from jft_reps.data.records import manifest


@dataclasses.dataclass
class SetSummary:
  """What one split holds.

  Attributes:
    directory, split: where it is.
    origin: (directory, split) of the shards, another split's in a subset.
    names: class ids in class order; empty where nothing names them.
    counts: int64 `[classes]`, pictures per class as listed, ancestors left out.
    shards: examined, without those whose file is damaged.
    records, labels, most_labels, boxes: see `shard_checks.Examined`.
    examined: whether its records were; those of a subset are not where its base's were.
  """

  directory: str
  split: str
  origin: tuple[str, str]
  names: tuple[str, ...]
  counts: np.ndarray
  shards: int = 0
  records: int = 0
  labels: int = 0
  most_labels: int = 0
  boxes: int = 0
  examined: bool = True

  def add(self, shard: shard_checks.Examined) -> None:
    """Counts a shard."""
    self.shards += shard.whole
    self.records += shard.records
    self.labels += shard.labels
    self.most_labels = max(self.most_labels, shard.most_labels)
    self.boxes += shard.boxes
    self.counts += shard.counts

  def text(self, most: int = 5) -> str:
    """One line, with the first few classes that no picture has."""
    if not self.examined:
      return (f"{self.split}: {self.records:,} pictures in {self.shards} shards of "
              f"{self.origin[1]}, held against its manifest")
    mean = self.labels / max(self.records, 1)
    text = (f"{self.split}: {self.records:,} pictures in {self.shards} shards, {self.labels:,} "
            f"labels ({mean:.2f} a picture, at most {self.most_labels})")
    text += f", {self.boxes:,} boxes" if self.boxes else ""
    if not self.names:
      return text
    bare = np.flatnonzero(self.counts == 0)
    text += f", {len(self.names) - len(bare):,} of {len(self.names):,} classes"
    shown = ", ".join(errors.printable(self.names[i], 40) for i in bare[:most])
    more = ", …" if len(bare) > most else ""
    return text + (f"; no picture of {len(bare):,}: {shown}{more}" if len(bare) else "")


def where(record_set: manifest.RecordSet) -> str:
  """Path of its manifest, for findings."""
  return manifest.path_of(record_set.directory, record_set.split)


def compare_labels(
    opened: Sequence[manifest.RecordSet], names: Sequence[tuple[str, ...]],
    hierarchy_ids: Sequence[str] | None, findings: Findings,
) -> None:
  """Label maps have to be one another's and the hierarchy's, in the same order.

  Args:
    opened: the sets.
    names: class ids of each; empty where nothing names them.
    hierarchy_ids: None: no hierarchy.
    findings: takes what differs.
  """
  wanted, whose = hierarchy_ids, "the hierarchy"
  for record_set, found in zip(opened, names):
    if not found:
      continue
    if wanted is None:
      wanted, whose = found, f"split {record_set.split}"
    if found == tuple(wanted):
      continue
    at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b),
              min(len(found), len(wanted)))
    ours, theirs = (repr(errors.printable(ids[at], 60)) if at < len(ids) else "missing"
                    for ids in (found, wanted))
    findings.add(
        "labels-differ", where(record_set), f"{len(found):,} labels, {len(wanted):,} of {whose}; "
        f"class {at} is {ours} here and {theirs} there")


def compare_keypoints(opened: Sequence[manifest.RecordSet], findings: Findings) -> None:
  """Keypoint schemas have to be one."""
  having = [s for s in opened if s.metadata.get("keypoints")]
  for record_set in having[1:]:
    if record_set.metadata["keypoints"] != having[0].metadata["keypoints"]:
      findings.add("keypoints-differ", where(record_set),
                   f"another schema than split {having[0].split} has")


class Overlaps:
  """Finds pictures of one set in others, by the 53-bit hashes of their ids."""

  def __init__(self):
    self._held: list[tuple[SetSummary, np.ndarray]] = []
    self._set: SetSummary | None = None
    self._hashes: list[np.ndarray] = []

  def add(self, own: SetSummary, shard: shard_checks.Examined, findings: Findings,
          last: bool) -> None:
    """Takes the next shard; those of a set come one after another, and `last` is the last set."""
    if self._set is not own:
      if self._set is not None and self._hashes:
        self._held.append((self._set, np.sort(np.concatenate(self._hashes))))
      self._set, self._hashes = own, []
    if not last:
      self._hashes.append(shard.hashes)
    for other, hashes in self._held:
      if other.origin == own.origin or not len(hashes):
        continue
      near = hashes[np.minimum(np.searchsorted(hashes, shard.hashes), len(hashes) - 1)]
      for i in np.flatnonzero(near == shard.hashes):
        findings.add("split_overlap", f"picture {errors.printable(shard.ids[i])!r}",
                     f"in {_title(other, own)} and in {_title(own, other)}")


def _title(one: SetSummary, other: SetSummary) -> str:
  return one.split if one.directory == other.directory else f"{one.split} of {one.directory}"
