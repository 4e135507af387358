"""Reads records and says what is wrong with them, and what they hold.

  python -m jft_reps.apps.validate --records=DIR [--splits=train,val] [--full]
  … --splits=train --hierarchy=FILE --hierarchy_format=mlimages --statistics=OUT
  … --splits=train --truth=VERDICTS.csv --statistics=OUT
  … --splits=dense --fasteval=OUT --prevalence=train

Prints a line per finding (reason, place, what was found) and one per set; exit code 2 if there
is a finding. Files against their manifests, records, ids (hash, order, twice, in two splits),
labels, boxes, masks, keypoints, label maps against one another; with --full every pixel.

--statistics writes OUT/<split>/statistics.txt, .json and .png (the numbers that section 3 of the
paper gives for JFT) and class_counts.csv. With --truth, a CSV of id,label,0 or 1 or a split of
the same pictures, also label_precision.txt, .json and .csv (classes with 20 verdicts).
--fasteval writes OUT/eval_classes.txt and class_weights.csv for the task pretrain, of one densely
labelled split.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.data.hierarchy import readers
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.errors import ConfigError, DataError

FLAGS = flags.FlagValues()
flags.DEFINE_list("records", None, "Folder of the record sets, or several.", flag_values=FLAGS)
flags.DEFINE_list("splits", None, "Names of the sets (default: all).", flag_values=FLAGS)
flags.DEFINE_boolean("check", True, "Examine the records.", flag_values=FLAGS)
flags.DEFINE_boolean("full", False, "Decode every picture and mask.", flag_values=FLAGS)
flags.DEFINE_integer("lines", 5, "Findings of one kind to print; the rest are counted.",
                     lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("processes", None, "That examine (default: with --full one per core, else "
                     "1).", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_string("hierarchy", None, "Label hierarchy, whose nodes are the classes.",
                    flag_values=FLAGS)
flags.DEFINE_enum("hierarchy_format", None, readers.FORMATS,
                  "Its form.", flag_values=FLAGS)
flags.DEFINE_string("statistics", None, "Folder for statistics.", flag_values=FLAGS)
flags.DEFINE_string("truth", None, "Verdicts on labels: a CSV, or a split.", flag_values=FLAGS)
flags.DEFINE_boolean("dense", False, "--truth: every class was looked for, so that what it does "
                     "not list is false.", flag_values=FLAGS)
flags.DEFINE_string("fasteval", None, "Folder for a FastEval set.", flag_values=FLAGS)
flags.DEFINE_string("prevalence", None, "--fasteval: split whose prevalence weights the classes "
                    "(default: its own).", flag_values=FLAGS)
flags.DEFINE_integer("least", 1, "--fasteval: pictures that a class needs.", lower_bound=1,
                     flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  """Examines, reports, and returns the exit code."""
  command_line.parse(FLAGS, argv, __doc__, required=("records",))
  if FLAGS.truth and not FLAGS.statistics:
    raise ConfigError("flags", "--truth", "given without --statistics", "a folder for its numbers")
  hierarchy = command_line.hierarchy(FLAGS)
  from jft_reps import progress
  from jft_reps.collection.checks import validation
  from jft_reps.collection.labels import of_records

  sets = [(folder, split) for folder in FLAGS.records
          for split in FLAGS.splits or validation.splits_of(folder)]
  if FLAGS.fasteval and len(sets) != 1:
    raise ConfigError("flags", "--fasteval", f"given for {len(sets)} sets", "--splits=ONE")
  code = _check(sets, hierarchy) if FLAGS.check else 0
  for folder, split in sets:
    if FLAGS.statistics:
      place = (os.path.basename(os.path.normpath(folder)),) if len(FLAGS.records) > 1 else ()
      output = os.path.join(FLAGS.statistics, *place, split)
      for text in of_records.measure(folder, split, hierarchy, output, FLAGS.truth, FLAGS.dense,
                                     progress.counter("pictures")):
        print(text)
    if FLAGS.fasteval:
      for text in of_records.choose_fasteval(folder, split, hierarchy, FLAGS.fasteval, FLAGS.least,
                                             FLAGS.prevalence):
        print(text)
  return code


def _check(sets: Sequence[tuple[str, str]], hierarchy: Hierarchy | None) -> int:
  from jft_reps import progress
  from jft_reps.collection.checks import validation

  processes = FLAGS.processes or (os.cpu_count() or 1 if FLAGS.full else 1)
  report = validation.validate(
      sets, FLAGS.full, None if hierarchy is None else hierarchy.ids, FLAGS.lines, processes,
      progress.counter("shards"))
  for line in report.findings.lines():
    print(line)
  for summary in report.sets:
    print(summary.text())
  if not report.findings:
    print("ok: nothing is wrong" + ("" if FLAGS.full else "; --full would decode every picture"))
    return 0
  kinds = ", ".join(f"{name} {count:,}" for name, count in report.findings.counts.items())
  print(f"{len(report.findings):,} findings: {kinds}")
  return DataError.exit_code


if __name__ == "__main__":
  sys.exit(command_line.run(main))
