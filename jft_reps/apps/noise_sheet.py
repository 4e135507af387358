"""Pictures of one class from typical to strange, as one sheet: figure 2 of the paper.

  python -m jft_reps.apps.noise_sheet --records=DIR --split=train --class=ID \\
      --checkpoint=RUN --output=sheet.png [--hierarchy=FILE --hierarchy_format=mlimages]

Rows are steps of the distance to the nearest of a few k-means centroids of a backbone's features,
near to far: labels that are wrong gather below. With a hierarchy, pictures of all classes below
count too. The list of all pictures goes beside the sheet, sheet.csv. The checkpoint is a run
directory, or a weight file of any form that `train` starts from.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.data.hierarchy import readers
from jft_reps.errors import ConfigError, printable

FLAGS = flags.FlagValues()
flags.DEFINE_string("records", None, "Folder of the record set.", flag_values=FLAGS)
flags.DEFINE_string("split", "train", "Name of the set.", flag_values=FLAGS)
flags.DEFINE_string("class", None, "Id of the class.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", None, "Run directory, checkpoint or weight file.",
                    flag_values=FLAGS)
flags.DEFINE_string("output", None, "PNG to write.", flag_values=FLAGS)
flags.DEFINE_string("hierarchy", None, "Label hierarchy, whose nodes are the classes.",
                    flag_values=FLAGS)
flags.DEFINE_enum("hierarchy_format", None, readers.FORMATS,
                  "Its form.", flag_values=FLAGS)
flags.DEFINE_integer("limit", 2000, "Pictures at most.", lower_bound=1, upper_bound=100_000,
                     flag_values=FLAGS)
flags.DEFINE_integer("clusters", 4, "Centroids.", lower_bound=1, upper_bound=1000,
                     flag_values=FLAGS)
flags.DEFINE_integer("rows", 8, "Steps of distance.", lower_bound=1, upper_bound=50,
                     flag_values=FLAGS)
flags.DEFINE_integer("columns", 10, "Pictures in a row.", lower_bound=1, upper_bound=50,
                     flag_values=FLAGS)
flags.DEFINE_integer("resize", None, "Side that pictures are resized to (default: as the run's, "
                     "else 340).", lower_bound=16, upper_bound=2048, flag_values=FLAGS)
flags.DEFINE_integer("crop", None, "Side of the centre crop (default: as the run's, else 299).",
                     lower_bound=16, upper_bound=2048, flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "Of k-means.", flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  """Parses flags, draws, prints where."""
  command_line.parse(FLAGS, argv, __doc__,
                     required=("records", "class", "checkpoint", "output"))
  if not FLAGS.output.endswith(".png"):
    raise ConfigError("flags", "--output", printable(FLAGS.output), "a name that ends in .png")
  hierarchy = command_line.hierarchy(FLAGS)
  from jft_reps import progress
  from jft_reps.workflows import noise_sheet

  drawn = noise_sheet.draw(
      FLAGS.records, FLAGS.split, FLAGS["class"].value, FLAGS.checkpoint, FLAGS.output, hierarchy,
      limit=FLAGS.limit, clusters=FLAGS.clusters, rows=FLAGS.rows, columns=FLAGS.columns,
      resize=FLAGS.resize, crop=FLAGS.crop, seed=FLAGS.seed, progress=progress.counter("pictures"))
  print(f"{printable(drawn.name)}: {drawn.pictures:,} pictures, distances {drawn.nearest:.3f} to "
        f"{drawn.farthest:.3f}\nwrote {drawn.sheet} and {drawn.listing}")
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
