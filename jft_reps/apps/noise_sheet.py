"""Pictures of one class from typical to strange, as one sheet: figure 2 of the paper.

  python -m jft_reps.apps.noise_sheet --records=DIR --split=train --class=ID \\
      --checkpoint=RUN --output=sheet.png [--hierarchy=FILE --hierarchy_format=mlimages]

Rows are steps of the distance to the nearest of a few k-means centroids of a backbone's features,
near to far: labels that are wrong gather below. With a hierarchy, pictures of all classes below
count too. The list of all pictures goes beside the sheet, sheet.csv. The checkpoint is a run
directory, or a weight file of any form that `train` starts from.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps import whole_files
from jft_reps.apps import command_line
from jft_reps.data.hierarchy import readers
from jft_reps.errors import ConfigError, DataError, printable

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
  from jft_reps import progress
  from jft_reps.collection.labels import noise_sheet
  from jft_reps.data.records import manifest
  from jft_reps.models.pretrained import loading
  from jft_reps.workflows import weights

  record_set = manifest.load(FLAGS.records, FLAGS.split)
  num_classes, classes, name = _classes(record_set)
  source = weights.open_source(FLAGS.checkpoint)
  picture = _picture(source)
  members = noise_sheet.collect(
      record_set, num_classes, classes, _embedder(loading.load(source)), picture, FLAGS.limit,
      progress=progress.counter("pictures"))
  arranged = noise_sheet.arrange(members.features, FLAGS.clusters, FLAGS.rows, FLAGS.seed)
  title = f"{name} in {FLAGS.split}"
  folder, file = os.path.split(FLAGS.output)
  sheet, listing = whole_files.write_all(folder or ".", {
      file: noise_sheet.draw(members, arranged, title, FLAGS.columns),
      f"{file[:-4]}.csv": noise_sheet.table(members, arranged).encode("utf-8", "backslashreplace")})
  print(f"{printable(name)}: {len(members.ids):,} pictures, distances {arranged.edges[0]:.3f} to "
        f"{arranged.edges[-1]:.3f}\nwrote {sheet} and {listing}")
  return 0


def _classes(record_set) -> tuple[int, list[int], str]:
  """(number of classes, indices of the class and all below it, its name)."""
  from jft_reps.collection.subsets import choice
  from jft_reps.data.records import label_map

  wanted = FLAGS["class"].value
  if FLAGS.hierarchy:
    if not FLAGS.hierarchy_format:
      raise ConfigError("flags", "--hierarchy_format", "missing", "the form of the hierarchy")
    tree = readers.read(FLAGS.hierarchy, FLAGS.hierarchy_format)
    choice.vocabulary(record_set, tree)
    below = [tree.index(one) for one in (wanted, *tree.descendants(wanted))]
    return len(tree), below, tree.name(wanted)
  labels = label_map.labels_of(record_set)
  if labels is None or wanted not in labels:
    raise DataError("unknown-class", "--class", printable(wanted),
                    "an id of labels.txt beside the records", "Names are no ids.")
  return len(labels), [labels.index(wanted)], wanted


def _picture(source):
  """The centre crop of the run whose checkpoint it is, or the paper's."""
  from jft_reps.models.pretrained import own
  from jft_reps.ops import images

  noted = {}
  if source.format == own.FORMAT:
    noted = json.loads(bytes(source.tensors.read("preprocessing").item()))
  resize = FLAGS.resize or noted.get("resize", 340)
  crop = FLAGS.crop or noted.get("crop", 299)
  if crop > resize:
    raise ConfigError("flags", "--crop", str(crop), f"at most {resize}, the size it is cut from")
  return images.CenterCrop(resize, crop)


def _embedder(backbone):
  """`embed_fn(images)`: conv5 averaged over space."""
  import tensorflow as tf

  @tf.function(reduce_retracing=True)
  def embed(images):
    features = backbone(images, batch_norm="frozen", stages=("conv5",))["conv5"]
    return tf.reduce_mean(tf.cast(features, tf.float32), axis=[1, 2])

  return embed


if __name__ == "__main__":
  sys.exit(command_line.run(main))
