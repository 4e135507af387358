"""Holds pictures out of a record set to measure with: two subsets that share no picture."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence

from jft_reps.collection.dedup import find, index
from jft_reps.collection.dedup import sources as duplicate_sources
from jft_reps.collection.subsets import choice as picture_choice
from jft_reps.collection.subsets import subsets
from jft_reps.data.records import label_map, manifest
from jft_reps.data.records.spills import unit_hash
from jft_reps.errors import ConfigError, DataError, printable

# Turned by quarters and mirrored: what cameras and downloads do to copies. Any angle takes four
# times as long.
_COPIES = find.Options(policy="quarters")


@dataclasses.dataclass(frozen=True)
class HeldOut:
  """What was held out.

  Attributes:
    train, held_out: the two subsets.
    together: pictures that are near-duplicates of others, each with these on one side.
    stratified: whether each class gave its share.
    without: classes of which the other side has pictures, and the held-out one has none.
  """

  train: manifest.RecordSet
  held_out: manifest.RecordSet
  together: int
  stratified: bool
  without: tuple[str, ...]

  def lines(self) -> list[str]:
    """The same in words."""
    how = "of each class" if self.stratified else "of all pictures"
    lines = [f"{self.train.split}: {self.train.records:,} pictures; {self.held_out.split}: "
             f"{self.held_out.records:,} held out, the first {how} by the hash of their ids",
             f"{self.together:,} near-duplicates lie with those they resemble"]
    if self.without:
      shown = ", ".join(printable(label, 40) for label in self.without[:10])
      lines.append(f"{len(self.without)} classes have no picture in {self.held_out.split}: {shown}"
                   + (", …" if len(self.without) > 10 else ""))
    return lines


def parse(text: str) -> float | int:
  """`10%` or `0.1` as a share, `500` as a number of pictures.

  Raises:
    ConfigError: neither.
  """
  try:
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
  except ValueError:
    value = 0.0
  if 0 < value < 1:
    return value
  if value >= 1 and value.is_integer() and not text.endswith("%"):
    return int(value)
  raise ConfigError("flags", "--hold_out", printable(text, 40), "a share such as 10%, or a number "
                    "of pictures")


def hold_out(directory: str | os.PathLike[str], of: str, amount: float | int, train: str,
             held_out: str, overwrite: bool = False, processes: int = 1,
             progress: Callable[[int], None] = lambda done: None) -> HeldOut:
  """Divides a set; which picture goes where depends on the ids, labels and looks of them all.

  Where every picture has one label each class gives its share. Near-duplicates go to one side
  together, so that a copy of what was learnt is not what is measured with.

  Args:
    directory: folder of the records.
    of: the set, which stays.
    amount: share of the pictures, or how many.
    train, held_out: names of the two subsets.
    overwrite: replace subsets of these names.
    processes: that decode pictures to compare them.
    progress: called with the number of pictures compared.

  Raises:
    DataError: the set is damaged, has an id twice, or too few pictures for two sides.
    StorageError: a file cannot be written.
  """
  record_set = manifest.load(directory, of)
  labels = {name.decode("utf-8", "surrogateescape"): tuple(found)
            for name, found in picture_choice.pictures(record_set)}
  if len(labels) != record_set.records:
    raise DataError("ids-collide", manifest.path_of(directory, of),
                    f"{len(labels):,} ids of {record_set.records:,} pictures", "an id for each")
  share = amount if isinstance(amount, float) else amount / len(labels)
  if share >= 1:
    raise ConfigError("flags", "--hold_out", f"{amount:,} of {len(labels):,} pictures",
                      "fewer than there are")
  single = all(len(found) == 1 for found in labels.values())
  groups = _alike(labels, f"{duplicate_sources.RECORDS}{os.path.join(directory, of)}", processes,
                  progress)
  chosen = choose(groups, {name: found[0] if single else 0 for name, found in labels.items()},
                  share)
  if not 0 < len(chosen) < len(labels):
    raise DataError("hold-out", manifest.path_of(directory, of),
                    f"{len(chosen)} of {len(labels)} pictures to hold out", "some on either side",
                    "Hold out a larger share, or bring more pictures.")
  keys = frozenset(name.encode("utf-8", "surrogateescape") for name in chosen)
  names = label_map.labels_of(record_set) or ()
  for split, those in ((held_out, picture_choice.Choice(names, keep_ids=keys)),
                       (train, picture_choice.Choice(names, leave_out_ids=keys))):
    subsets.make(directory, of, {split: None}, those, overwrite)
  classes = [{c for name, found in labels.items() if (name in chosen) == side for c in found}
             for side in (False, True)]
  return HeldOut(
      manifest.read(directory, train), manifest.read(directory, held_out),
      sum(len(group) for group in groups if len(group) > 1), single,
      tuple(names[c] for c in sorted(classes[0] - classes[1]) if c < len(names)))


def choose(groups: Iterable[Sequence[str]], strata: dict[str, int], share: float) -> set[str]:
  """Ids to hold out: of each stratum the first groups by hash, up to its share.

  Args:
    groups: ids that belong together; every id is in one of them. A group counts for the stratum of
      its first id by hash.
    strata: of each id.
    share: of each stratum that is wanted, rounded; of a stratum of one picture none.
  """
  by_stratum: dict[int, list[tuple[float, list[str]]]] = collections.defaultdict(list)
  for group in groups:
    members = sorted(group, key=lambda name: (unit_hash(name), name))
    by_stratum[strata[members[0]]].append((unit_hash(members[0]), members))
  chosen: set[str] = set()
  for found in by_stratum.values():
    total = sum(len(members) for _, members in found)
    left = min(int(share * total + 0.5), total - 1)
    for _, members in sorted(found):
      if len(members) <= left:  # a larger group would leave its class with too little to learn from
        chosen.update(members)
        left -= len(members)
  return chosen


def _alike(ids: Iterable[str], source: str, processes: int,
           progress: Callable[[int], None]) -> list[list[str]]:
  """Groups of near-duplicates; a picture without any is a group of its own."""
  parts = list(index.collect(duplicate_sources.open_pictures(source), processes, progress, source))
  pairs = [pair for pair in find.find(parts, parts, _COPIES) if pair.eval_id != pair.train_id]
  groups = [sorted({*one, *other}) for one, other in find.groups(pairs)]
  merged = _merged(groups)
  inside = {name for group in merged for name in group}
  return merged + [[name] for name in ids if name not in inside]


def _merged(groups: Iterable[Sequence[str]]) -> list[list[str]]:
  """Groups that share an id as one: a picture stands on both sides of a set beside itself."""
  place: dict[str, list[str]] = {}
  for group in groups:
    joined = {name for one in group for name in place.get(one, [one])} | set(group)
    members = sorted(joined)
    place.update(dict.fromkeys(members, members))
  return [list(members) for members in {id(m): m for m in place.values()}.values()]
