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

import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.data.hierarchy import readers

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


def main(argv: Sequence[str]) -> int:
  command_line.parse(FLAGS, argv, __doc__, required=("records",))
  from jft_reps.collection.subsets import sizes as subset_sizes

  sizes = subset_sizes.named(FLAGS.name, FLAGS.split, FLAGS.pictures, FLAGS.share)
  hierarchy = command_line.hierarchy(FLAGS)
  from jft_reps import progress
  from jft_reps.collection.subsets import choice as picture_choice
  from jft_reps.collection.subsets import report, subsets
  from jft_reps.data.records import label_map, manifest

  record_set = manifest.read(FLAGS.records, FLAGS.split)
  choice = picture_choice.Choice(
      picture_choice.vocabulary(record_set, hierarchy), hierarchy,
      label_map.read(FLAGS.classes) if FLAGS.classes else None,
      picture_choice.read_ids(FLAGS.keep_ids) if FLAGS.keep_ids else None,
      picture_choice.read_ids(FLAGS.leave_out_ids, True) if FLAGS.leave_out_ids else None,
      FLAGS.counts)
  counts = {name: subset_sizes.pictures(size, record_set.records) for name, size in sizes.items()}
  bar = progress.Progress(record_set.records, "pictures looked at")
  try:
    done = subsets.make(FLAGS.records, FLAGS.split, counts, choice, FLAGS.overwrite,
                        lambda seen, _: bar(seen))
  finally:
    bar.close()
  for subset in done:
    print(report.text(subset))
    for warning in report.warnings(subset, subsets.outdated(FLAGS.records, subset.split)):
      print(f"WARNING: {subset.split}: {warning}", file=sys.stderr)
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
