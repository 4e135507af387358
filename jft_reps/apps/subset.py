"""Makes nested subsets of a record set, without a copy of its pictures.

  python -m jft_reps.apps.subset --records=DIR --pictures=10M,30M,100M
  … --name=train_941 --classes=CLASSES.txt --hierarchy=FILE --hierarchy_format=edges
  … --split=train_941 --pictures=1000 --name=train_941_1000
  … --name=train_clean --leave_out_ids=TRAIN_COPIES.txt

A subset is the first pictures of --split in the order of the hash of their ids, so that smaller
ones lie in larger ones: with conditions, the first that meet all of them. It becomes a split of its
own, manifest-NAME.json in the same folder, whose name goes wherever one is asked for, as in
--config.task.train_split=NAME. Several sizes are called NAME_10M, …, or by the split's name.

Pictures per class are counted into counts-NAME.json, which reads each picture of the subset once
(with --hierarchy they count for their ancestors too). With --nocounts, a number of pictures takes
no look at them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from jft_reps.apps import command_line
from jft_reps.data.hierarchy import readers
from jft_reps.errors import ConfigError, printable

FLAGS = flags.FlagValues()
flags.DEFINE_string("records", None, "Folder of the records.", flag_values=FLAGS)
flags.DEFINE_string("split", "train", "The set, or a subset of it.", flag_values=FLAGS)
flags.DEFINE_string("name", None, "Of the subset (default: SPLIT_SIZE).", flag_values=FLAGS)
flags.DEFINE_list("pictures", [], "Sizes, as 30000 or 10M.", flag_values=FLAGS)
flags.DEFINE_list("share", [], "Sizes as parts of all pictures of the set, as 0.1.",
                  flag_values=FLAGS)
flags.DEFINE_string("classes", None, "File of class ids, one a line: pictures that carry at least "
                    "one; with --hierarchy also one below it.", flag_values=FLAGS)
flags.DEFINE_string("hierarchy", None, "Label hierarchy of the records.", flag_values=FLAGS)
flags.DEFINE_enum("hierarchy_format", None, readers.FORMATS,
                  "Its form.", flag_values=FLAGS)
flags.DEFINE_string("keep_ids", None, "File of picture ids, one a line: no others.",
                    flag_values=FLAGS)
flags.DEFINE_string("leave_out_ids", None, "Likewise, to leave out.", flag_values=FLAGS)
flags.DEFINE_boolean("counts", True, "Count pictures per class.", flag_values=FLAGS)
flags.DEFINE_boolean("overwrite", False, "Replace subsets of the same names.", flag_values=FLAGS)
_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6}


def main(argv: Sequence[str]) -> int:
  command_line.parse(FLAGS, argv, __doc__, required=("records",))
  sizes = named_sizes(FLAGS.name, FLAGS.split, FLAGS.pictures, FLAGS.share)
  if FLAGS.hierarchy and not FLAGS.hierarchy_format:
    raise ConfigError("flags", "--hierarchy_format", "missing", "the form of the hierarchy")
  from jft_reps import progress
  from jft_reps.collection.subsets import choice as picture_choice
  from jft_reps.collection.subsets import subsets
  from jft_reps.data.records import label_map, manifest

  record_set = manifest.read(FLAGS.records, FLAGS.split)
  hierarchy = FLAGS.hierarchy and readers.read(FLAGS.hierarchy, FLAGS.hierarchy_format)
  choice = picture_choice.Choice(
      picture_choice.vocabulary(record_set, hierarchy or None), hierarchy or None,
      label_map.read(FLAGS.classes) if FLAGS.classes else None,
      picture_choice.read_ids(FLAGS.keep_ids) if FLAGS.keep_ids else None,
      picture_choice.read_ids(FLAGS.leave_out_ids, True) if FLAGS.leave_out_ids else None,
      FLAGS.counts)
  counts = {name: _part(size, record_set.records) for name, size in sizes.items()}
  bar = progress.Progress(record_set.records, "pictures looked at")
  try:
    done = subsets.make(FLAGS.records, FLAGS.split, counts, choice, FLAGS.overwrite,
                        lambda seen, _: bar(seen))
  finally:
    bar.close()
  for subset in done:
    print(said(subset))
    for warning in warnings(subset, subsets.outdated(FLAGS.records, subset.split)):
      print(f"WARNING: {subset.split}: {warning}", file=sys.stderr)
  return 0


def named_sizes(
    name: str | None, split: str, pictures: Sequence[str], shares: Sequence[str]
) -> dict[str, Any]:
  """Sizes by name: pictures as int, shares as float, None for all.

  Raises:
    ConfigError: one cannot be read or stands there twice, both kinds, or no name for all.
  """
  if pictures and shares:
    raise ConfigError("flags", "--share", "given beside --pictures", "one of them")
  sizes = {text: _pictures(text) for text in pictures} | {text: _share(text) for text in shares}
  if len(sizes) != len(pictures) + len(shares):
    raise ConfigError("flags", "sizes", ",".join([*pictures, *shares]), "each size once")
  if not sizes:
    if not name:
      raise ConfigError("flags", "--name", "missing", "a name where no size is given")
    return {name: None}
  if len(sizes) == 1:
    return {name or f"{split}_{text}": size for text, size in sizes.items()}
  return {f"{name or split}_{text}": size for text, size in sizes.items()}


def _pictures(text: str) -> int:
  found = re.fullmatch(r"([0-9]{1,12})([kKM]?)", text)
  if not found:
    raise ConfigError("flags", "--pictures", printable(text), "numbers, as 30000, 300k or 10M")
  return int(found[1]) * _UNITS[found[2]]


def _share(text: str) -> float:
  if not re.fullmatch(r"[0-9]{0,3}(\.[0-9]{1,12})?", text) or not 0 < float(text or 0) <= 1:
    raise ConfigError("flags", "--share", printable(text), "numbers above 0, at most 1, as 0.1")
  return float(text)


def _part(size: int | float | None, records: int) -> int | None:
  """Pictures of a size; raises ConfigError for a share that is none."""
  if not isinstance(size, float):
    return size
  if not (found := round(size * records)):
    raise ConfigError("flags", "--share", f"{size} of {records:,} pictures", "at least one picture")
  return found


def said(made) -> str:
  """What there is to say of a subset, in one line.

  Args:
    made: its `data.manifest.RecordSet`.
  """
  note = made.metadata["subset"]
  text = f"{made.split}: {made.records:,} pictures of {note['of']}"
  text += f" in {len(made.shards)} shards, ids hashed below {note['below']:.6g}"
  if "classes" in note:
    text += f", of {note['classes']:,} classes"
  if "left_out" in note:
    text += f", {note['left_out']:,} listed pictures left out"
    text += "" if note["listed_out"] else " (the list is empty)"
  return text


def warnings(made, outdated: Sequence[str] = ()) -> list[str]:
  """What is suspicious about a subset.

  Args:
    made: its `data.manifest.RecordSet`.
    outdated: subsets that were made of what it was before.
  """
  note, found = made.metadata["subset"], []
  if note.get("listed_out") and not note["left_out"]:
    found.append(f"none of the {note['listed_out']:,} ids to leave out is among the pictures "
                 f"of {note['of']} that were looked at. Is it the list of this set?")
  if note.get("met", note.get("listed")) != note.get("listed"):
    found.append(f"only {note['met']:,} of the {note['listed']:,} ids to keep are in {note['of']}")
  if outdated:
    found.append(f"{', '.join(outdated)} was made of what it was before and need not lie in it "
                 "now. Make it again.")
  return found


if __name__ == "__main__":
  sys.exit(command_line.run(main))
